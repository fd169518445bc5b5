"""Turning radiographs: exact by quarters, traceable by any tilt."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from boneage.errors import SettingsError
from boneage.radiographs.radiograph import Radiograph, Sex
from boneage.radiographs.turning import TurnGeometry, turn

SIDES = st.integers(1, 40)
TURNS = st.integers(0, 3)
TILTS = st.floats(-45, 45)
PIXELS = hnp.arrays(
    st.sampled_from([np.uint8, np.uint16, np.float32]),
    st.tuples(SIDES, SIDES),
    elements=st.integers(0, 255),
)


@given(PIXELS, TURNS, TURNS)
def test_quarter_turns_add_up_and_change_no_pixel(
    pixels: NDArray[Any], first: int, second: int
) -> None:
    twice = turn(turn(Radiograph(pixels), first), second)
    once = turn(Radiograph(pixels), (first + second) % 4)
    np.testing.assert_array_equal(twice.pixels, once.pixels)
    np.testing.assert_array_equal(turn(once, (4 - first - second) % 4).pixels, pixels)
    assert once.pixels.dtype == pixels.dtype


def test_a_quarter_turn_goes_counter_clockwise() -> None:
    pixels = np.array([[1, 2, 3], [4, 5, 6]], np.uint8)
    assert turn(Radiograph(pixels), 1).pixels.tolist() == [[3, 6], [2, 5], [1, 4]]


@given(PIXELS, TURNS, TILTS)
def test_the_radiograph_is_not_changed_and_all_but_pixels_is_kept(
    pixels: NDArray[Any], turns: int, tilt: float
) -> None:
    before = pixels.copy()
    radiograph = Radiograph(pixels, (0.1, 0.2), Sex.MALE, 120.0, "a.png")
    turned = turn(radiograph, turns, tilt)
    np.testing.assert_array_equal(pixels, before)
    assert (turned.sex, turned.chronological_age_months) == (Sex.MALE, 120.0)
    assert turned.source == "a.png"


@pytest.mark.parametrize(
    ("turns", "tilt", "spacing", "expected"),
    [
        (0, 0.0, (0.1, 0.2), (0.1, 0.2)),
        (1, 0.0, (0.1, 0.2), (0.2, 0.1)),
        (2, 0.0, (0.1, 0.2), (0.1, 0.2)),
        (3, 0.0, None, None),
        (1, 10.0, (0.1, 0.1), (0.1, 0.1)),
        (0, 10.0, (0.1, 0.2), None),
    ],
)
def test_the_spacing_follows(
    turns: int,
    tilt: float,
    spacing: tuple[float, float] | None,
    expected: tuple[float, float] | None,
) -> None:
    radiograph = Radiograph(np.zeros((5, 4), np.uint8), spacing)
    assert turn(radiograph, turns, tilt).spacing_mm == expected


@given(SIDES, SIDES, TURNS, TILTS, st.floats(0, 1), st.floats(0, 1))
def test_positions_go_there_and_back_and_stay_inside(
    height: int, width: int, turns: int, tilt: float, across: float, down: float
) -> None:
    geometry = TurnGeometry(height, width, turns, tilt)
    x, y = across * (width - 1), down * (height - 1)
    there = geometry.to_turned(x, y)
    assert geometry.to_original(*there) == pytest.approx((x, y), abs=1e-6)
    turned_height, turned_width = geometry.turned_shape
    assert -0.5 <= there[0] <= turned_width - 0.5
    assert -0.5 <= there[1] <= turned_height - 0.5


@given(SIDES, SIDES, TURNS, TILTS)
def test_the_geometry_tells_the_shape_of_the_picture(
    height: int, width: int, turns: int, tilt: float
) -> None:
    turned = turn(Radiograph(np.zeros((height, width), np.uint8)), turns, tilt)
    assert turned.pixels.shape == TurnGeometry(height, width, turns, tilt).turned_shape


@given(TURNS, TILTS, st.integers(8, 51), st.integers(8, 31))
def test_a_bright_spot_is_found_where_the_geometry_says(
    turns: int, tilt: float, x: int, y: int
) -> None:
    pixels = np.zeros((40, 60), np.float32)
    pixels[y - 2 : y + 3, x - 2 : x + 3] = 1
    turned = turn(Radiograph(pixels), turns, tilt).pixels
    rows, columns = np.mgrid[0 : turned.shape[0], 0 : turned.shape[1]]
    centre = (columns * turned).sum() / turned.sum(), (rows * turned).sum() / turned.sum()
    assert centre == pytest.approx(TurnGeometry(40, 60, turns, tilt).to_turned(x, y), abs=0.1)


def test_a_positive_tilt_turns_clockwise() -> None:
    # The spot above the middle moves to the right, as the hand of a clock does.
    x, y = TurnGeometry(101, 101, 0, 30).to_turned(50, 20)
    height, width = TurnGeometry(101, 101, 0, 30).turned_shape
    assert x - (width - 1) / 2 == pytest.approx(30 * math.sin(math.radians(30)))
    assert (height - 1) / 2 - y == pytest.approx(30 * math.cos(math.radians(30)))


@given(
    st.sampled_from([np.uint8, np.uint16, np.float32]), st.sampled_from([3, 60, 200]), TURNS, TILTS
)
def test_no_edge_appears_on_an_even_background(
    dtype: type, level: int, turns: int, tilt: float
) -> None:
    pixels = np.full((30, 20), level, dtype)
    turned = turn(Radiograph(pixels), turns, tilt)
    assert turned.pixels.dtype == dtype
    np.testing.assert_allclose(turned.pixels, level, rtol=1e-5)


@pytest.mark.parametrize(("background", "hand"), [(12, 180), (240, 40)])
def test_the_corners_take_the_background_although_a_forearm_crosses_the_rim(
    background: int, hand: int
) -> None:
    pixels = np.full((80, 60), background, np.uint8)
    pixels[20:, 18:42] = hand
    corner = turn(Radiograph(pixels), 0, 20.0).pixels[0, 0]
    assert corner == background


@pytest.mark.parametrize(
    ("turns", "tilt", "word"),
    [
        (4, 0.0, "quarter_turns"),
        (-1, 0.0, "quarter_turns"),
        (0, 46.0, "tilt"),
        (0, math.nan, "tilt"),
    ],
)
def test_numbers_out_of_range_are_refused(turns: int, tilt: float, word: str) -> None:
    with pytest.raises(SettingsError, match=word):
        turn(Radiograph(np.zeros((3, 3), np.uint8)), turns, tilt)
