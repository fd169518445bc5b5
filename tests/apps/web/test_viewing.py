"""Pictures for the page: nothing of the grey is lost, and the heat map lies where it belongs."""

import base64
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from boneage.apps.web.viewing import (
    LONGEST_PX,
    overlay_of,
    picture_of,
    plain_pictures,
    scale_stops,
)
from boneage.inference.overlay import blend, screen_grey
from boneage.inference.predictor import load
from boneage.radiographs.phantom import draw_phantom
from boneage.radiographs.radiograph import Radiograph, Sex

sizes = st.tuples(st.integers(1, 12), st.integers(1, 12))


def grey_of(png: bytes) -> np.ndarray[Any, Any]:
    """Put the two channels together again, as the viewer does."""
    channels = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    assert channels.shape[2] == 3
    assert not channels[..., 0].any()
    return channels[..., 2].astype(np.int64) * 256 + channels[..., 1]


@given(arrays(np.uint16, sizes))
def test_sixteen_bits_stay_as_they_are(pixels: np.ndarray[Any, Any]) -> None:
    picture = picture_of(Radiograph(pixels))
    assert (grey_of(picture.png) == pixels).all()
    assert (picture.first, picture.last) == (0, 65535)
    assert (picture.darkest, picture.brightest) == (pixels.min(), pixels.max())
    assert picture.low < picture.high


@given(arrays(np.uint8, sizes))
def test_eight_bits_are_spread(pixels: np.ndarray[Any, Any]) -> None:
    picture = picture_of(Radiograph(pixels))
    grey = grey_of(picture.png)
    assert (grey == pixels.astype(np.int64) * 257).all()
    shown = picture.first + grey / 65535 * (picture.last - picture.first)
    assert np.allclose(shown, pixels)
    assert (picture.low, picture.high) == (0, 65535)  # as every viewer shows them


@given(arrays(np.float32, sizes, elements=st.floats(-1e6, 1e6, width=32) | st.just(np.nan)))
def test_other_values_keep_their_order_and_their_names(pixels: np.ndarray[Any, Any]) -> None:
    picture = picture_of(Radiograph(pixels))
    finite = np.nan_to_num(pixels.astype(np.float64))
    step = (picture.last - picture.first) / 65535
    shown = picture.first + grey_of(picture.png) * step
    assert np.abs(shown - finite).max() <= step / 2 + 1e-6 * np.abs(finite).max()


@pytest.mark.parametrize("shape", [(3000, 20), (20, 3000), (2400, 1800)])
def test_a_large_one_is_reduced_and_keeps_its_shape(shape: tuple[int, int]) -> None:
    picture = picture_of(Radiograph(np.full(shape, 40_000, np.uint16)))
    grey = grey_of(picture.png)
    assert max(grey.shape) == LONGEST_PX
    assert grey.shape[0] / grey.shape[1] == pytest.approx(shape[0] / shape[1], rel=0.06)
    assert (grey == 40_000).all()
    assert (picture.height_px, picture.width_px) == shape


def test_the_first_window_is_the_one_of_the_reports() -> None:
    rng = np.random.default_rng(5)
    radiograph = draw_phantom(124.0, Sex.FEMALE, rng=rng, height_px=400)
    deep = Radiograph(radiograph.pixels.astype(np.float32) * 3 - 100)
    picture = picture_of(deep)
    shown = 255 * (grey_of(picture.png) - picture.low) / (picture.high - picture.low)
    assert np.abs(np.clip(shown, 0, 255) - screen_grey(deep.pixels)).max() <= 1.1


def test_the_heat_map_lies_as_in_the_overlay_of_the_reports() -> None:
    rng = np.random.default_rng(5)
    drawn = draw_phantom(124.0, Sex.FEMALE, rng=rng, height_px=500)
    radiograph = Radiograph(screen_grey(drawn.pixels))
    heat_map = load(threads=1).predict(radiograph, "female").heat_map
    assert heat_map is not None
    overlay = overlay_of(radiograph, heat_map)
    _, uri = plain_pictures(picture_of(radiograph), overlay)
    expected = blend(radiograph, heat_map, overlay.limit_months).astype(np.int16)
    assert np.abs(decoded(uri) - expected).mean() < 3


def test_the_scale_goes_from_blue_through_nothing_to_orange() -> None:
    stops = scale_stops()
    assert [stops[0][0], stops[4][0], stops[-1][0]] == ["0%", "50%", "100%"]
    assert [cover for *_, cover in stops] == [
        "1", "0.75", "0.5", "0.25", "0", "0.25", "0.5", "0.75", "1",
    ]  # fmt: skip
    assert (stops[0][1], stops[-1][1]) == ("#0072b2", "#d55e00")  # Okabe and Ito


def decoded(uri: str) -> np.ndarray[Any, Any]:
    data = np.frombuffer(base64.b64decode(uri.partition(",")[2]), np.uint8)
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.int16)
