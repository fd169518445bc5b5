"""Positions in a prepared image are found again in the radiograph, whatever was done to it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boneage.radiographs.placement import Placement
from boneage.radiographs.preparation import Preparation, PreparationSettings
from boneage.radiographs.radiograph import Radiograph
from boneage.radiographs.turning import TurnGeometry, turn

SIZE_PX = 64


def prepared(
    radiograph: Radiograph, preparation: Preparation, turns: int, tilt_deg: float
) -> tuple[np.ndarray, Placement]:
    """The image of an upright copy, by the steps of the model's own preparation."""
    small = Radiograph(preparation.reduce(radiograph.pixels))
    turned = TurnGeometry(*small.pixels.shape, turns, tilt_deg)
    found = preparation(turn(small, turns, tilt_deg))
    height, width = radiograph.pixels.shape
    return found.image, Placement(height, width, turned, found.geometry, SIZE_PX)


@settings(max_examples=60)
@given(
    st.integers(60, 200), st.integers(60, 200), st.floats(0.15, 0.85), st.floats(0.15, 0.85),
    st.integers(0, 3), st.sampled_from([0.0, 0.0, 12.0, -40.0]), st.sampled_from([0.0, 0.8]),
)  # fmt: skip
def test_a_spot_of_the_radiograph_is_where_its_placement_says(
    height: int, width: int, down: float, across: float, turns: int, tilt: float, reduce: float
) -> None:
    y, x = np.mgrid[0:height, 0:width]
    row, column = down * (height - 1), across * (width - 1)
    reach = 0.04 * max(height, width)
    spot = np.exp(-((y - row) ** 2 + (x - column) ** 2) / (2 * reach**2))
    radiograph = Radiograph(np.rint(255 * spot).astype(np.uint8))
    preparation = Preparation(
        PreparationSettings(size_px=SIZE_PX, crop=False, stretch=False, reduce_to=reduce)
    )
    image, placement = prepared(radiograph, preparation, turns, tilt)
    rows, columns = np.mgrid[0:SIZE_PX, 0:SIZE_PX]
    weight = np.maximum(image - 0.3, 0)  # what is dim, is spread over the whole image
    seen = (weight * columns).sum() / weight.sum(), (weight * rows).sum() / weight.sum()
    assert placement.to_radiograph(*seen) == pytest.approx(
        (column, row), abs=0.02 * (height + width)
    )
    assert placement.to_prepared(column, row) == pytest.approx(seen, abs=2)


@given(
    st.integers(40, 300), st.integers(40, 300), st.integers(0, 3), st.floats(-45, 45),
    st.floats(-20, 90), st.floats(-20, 90),
)  # fmt: skip
def test_positions_go_there_and_back_and_the_matrix_agrees(
    height: int, width: int, turns: int, tilt: float, x: float, y: float
) -> None:
    preparation = Preparation(PreparationSettings(size_px=SIZE_PX, crop=False, reduce_to=0.5))
    pixels = np.arange(height * width, dtype=np.float32).reshape(height, width)
    _, placement = prepared(Radiograph(pixels), preparation, turns, tilt)
    there = placement.to_radiograph(x, y)
    assert placement.to_prepared(*there) == pytest.approx((x, y), abs=1e-6)
    cell = placement.matrix(SIZE_PX // 4) @ np.array([*there, 1])
    assert cell == pytest.approx(((x + 0.5) / 4 - 0.5, (y + 0.5) / 4 - 0.5), abs=1e-6)
