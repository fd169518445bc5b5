"""Heat maps: where they lie in the radiograph, and how predictions come by them."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tiny_models import (
    CELLS,
    MONTHS_OF_MALE,
    SIZE_PX,
    explaining_bundle,
    hand_pixels,
    tiny_bundle,
    tiny_onnx,
)

from boneage.errors import BundleError, SettingsError
from boneage.inference.bundle import Bundle
from boneage.inference.heatmap import HeatMap
from boneage.inference.overlay import colour_of, draw_overlay, scale_of
from boneage.inference.prediction import Prediction, Query
from boneage.inference.predictor import Predictor, load
from boneage.inference.session import Network
from boneage.radiographs.placement import Placement
from boneage.radiographs.preparation import Preparation, PreparationSettings
from boneage.radiographs.radiograph import Radiograph, Sex
from boneage.radiographs.turning import TurnGeometry, turn


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    return load(explaining_bundle(tmp_path_factory.mktemp("models") / "tiny"))


def predicted(predictor: Predictor, pixels: NDArray[np.uint8]) -> Prediction:
    return predictor.predict(Radiograph(pixels), sex="female")


@settings(max_examples=40)
@given(
    st.integers(0, 3), st.sampled_from([0.0, 0.0, 35.0]), st.integers(0, 90), st.integers(0, 90),
    st.integers(1, 2), st.integers(0, 10**6),
)  # fmt: skip
def test_one_hot_cell_lights_up_the_pixels_that_it_was_made_from(
    turns: int, tilt: float, above: int, beside: int, enlarged: int, seed: int
) -> None:
    # A hand somewhere on a film, which is then turned, cropped, padded and resized.
    film = cv2.copyMakeBorder(
        hand_pixels(), above, 10, beside, 10, cv2.BORDER_CONSTANT, value=0
    ).repeat(enlarged, 0).repeat(enlarged, 1)  # fmt: skip
    height, width = film.shape
    preparation = Preparation(PreparationSettings(size_px=SIZE_PX, reduce_to=1.0))
    small = Radiograph(preparation.reduce(np.ascontiguousarray(film)))
    geometry = preparation(turn(small, turns, tilt)).geometry
    turned = TurnGeometry(*small.pixels.shape, turns, tilt)
    placement = Placement(height, width, turned, geometry, SIZE_PX)
    rng = np.random.default_rng(seed)
    row, column = rng.integers(1, CELLS - 1, 2)
    values = np.zeros((CELLS, CELLS), np.float32)
    values[row, column] = 3
    found = HeatMap(values, placement).on_radiograph()
    assert found.shape == film.shape
    side = SIZE_PX / CELLS
    x, y = placement.to_radiograph((column + 0.5) * side - 0.5, (row + 0.5) * side - 0.5)
    if 1 <= x < width - 2 and 1 <= y < height - 2:
        assert found.max() == pytest.approx(3, abs=0.3)
        hottest = np.unravel_index(int(found.argmax()), found.shape)
        assert hottest == pytest.approx((y, x), abs=1.5)
    lit = np.argwhere(found > 0)
    reach = side * geometry.scale * max(height / small.height_px, width / small.width_px)
    assert (np.hypot(lit[:, 0] - y, lit[:, 1] - x) < 1.5 * reach + 2).all()


@pytest.mark.parametrize("turns", range(4))
def test_the_map_lies_on_the_radiograph_as_it_was_given(predictor: Predictor, turns: int) -> None:
    upright = cv2.copyMakeBorder(hand_pixels(3), 30, 5, 60, 5, cv2.BORDER_CONSTANT, value=0)
    pixels = np.ascontiguousarray(np.rot90(upright, turns))
    heat = predicted(predictor, pixels).heat_map
    assert heat is not None
    assert heat.placement.turned.quarter_turns == -turns % 4
    found = heat.on_radiograph()
    # This model adds months where it is bright, so the map is a coarse copy of the radiograph.
    coarse = cv2.GaussianBlur(pixels.astype(np.float32), (0, 0), 12)
    inside = found != 0
    assert np.corrcoef(found[inside], coarse[inside])[0, 1] > 0.9


def test_the_map_adds_up_to_the_answer(predictor: Predictor) -> None:
    answer = predictor.predict(Radiograph(hand_pixels()), sex="male")
    assert answer.heat_map is not None
    total = float(answer.heat_map.values_months.sum())
    assert total + MONTHS_OF_MALE == pytest.approx(answer.bone_age_months, rel=1e-4)


def test_every_radiograph_of_a_batch_gets_its_own_map(predictor: Predictor) -> None:
    pictures = [Radiograph(hand_pixels(seed)) for seed in range(3)]
    answers = list(predictor.predict_many([Query(p, Sex.FEMALE) for p in pictures]))
    for picture, answer in zip(pictures, answers, strict=True):
        assert isinstance(answer, Prediction)
        alone = predictor.predict(picture, sex="female").heat_map
        assert answer.heat_map is not None
        assert alone is not None
        np.testing.assert_allclose(answer.heat_map.values_months, alone.values_months, rtol=1e-5)
        assert answer.heat_map.values_months.base is None  # it does not hold its whole batch


def test_a_model_of_before_gives_none(tmp_path: Path) -> None:
    predictor = load(tiny_bundle(tmp_path / "tiny"))
    assert not predictor.gives_heat_map
    answer = predicted(predictor, hand_pixels())
    assert answer.heat_map is None
    with pytest.raises(SettingsError, match="has no heat map"):
        draw_overlay(Radiograph(hand_pixels()), answer)


def test_with_preparation_off_the_map_is_stretched_over_the_image(tmp_path: Path) -> None:
    predictor = load(explaining_bundle(tmp_path / "plain", preparation=None))
    pixels = np.zeros((SIZE_PX, SIZE_PX), np.uint8)
    pixels[8:16, 40:48] = 255
    heat = predicted(predictor, pixels).heat_map
    assert heat is not None
    assert np.unravel_index(heat.values_months.argmax(), (CELLS, CELLS)) == (1, 5)
    found = heat.on_radiograph()
    assert np.unravel_index(found.argmax(), found.shape) == pytest.approx((11.5, 43.5), abs=1)


def test_a_map_that_is_no_map_is_refused(tmp_path: Path) -> None:
    graph = tiny_onnx(heat_map=True).replace(b"heat_map", b"not_used")
    flat = tiny_onnx(expects_error=True).replace(
        b"expected_error_months", b"heat_map".ljust(21, b"_")
    )
    assert not Network(Bundle.open(tiny_bundle(tmp_path / "a", onnx_bytes=graph))).gives_heat_map
    assert not Network(Bundle.open(tiny_bundle(tmp_path / "b", onnx_bytes=flat))).gives_heat_map
    wrong = tiny_onnx(output_name="heat_map")
    with pytest.raises(BundleError, match="output bone_age_months"):
        Network(Bundle.open(tiny_bundle(tmp_path / "c", onnx_bytes=wrong)))


def test_the_overlay_keeps_the_radiograph_where_nothing_is_added(predictor: Predictor) -> None:
    pixels = hand_pixels()
    answer = predicted(predictor, pixels)
    assert answer.heat_map is not None
    sheet = draw_overlay(Radiograph(pixels), answer, opacity=0.6)
    times = sheet.shape[1] // pixels.shape[1]
    below = slice(0, times * pixels.shape[0], times)
    picture = sheet[below, ::times]
    months = answer.heat_map.on_radiograph()
    nothing = months == 0
    assert nothing.any()
    assert (picture[nothing] == pixels[nothing][:, np.newaxis]).all()
    blue, _, red = (picture[..., channel].astype(int) for channel in range(3))
    strong = months > 0.7 * months.max()
    assert (red[strong] > blue[strong]).all()  # orange: older
    turned_over = HeatMap(-answer.heat_map.values_months, answer.heat_map.placement)
    younger = draw_overlay(Radiograph(pixels), _with(answer, turned_over), opacity=0.6)
    picture = younger[below, ::times].astype(int)
    assert (picture[strong][:, 0] > picture[strong][:, 2]).all()  # blue: younger
    assert sheet[times * pixels.shape[0] :].any()  # the legend


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize(("height", "width"), [(60, 45), (900, 700)])
def test_any_radiograph_can_be_drawn_on(
    predictor: Predictor, dtype: type, height: int, width: int
) -> None:
    pixels = hand_pixels(0, height, width).astype(dtype)
    radiograph = Radiograph(pixels)
    sheet = draw_overlay(radiograph, predictor.predict(radiograph, sex="female"))
    times = 9 if width == 45 else 1  # small ones are enlarged, pixel by pixel
    assert sheet.shape[1] == times * width
    picture = sheet[: times * height]
    assert (picture[::times, ::times] == picture[times - 1 :: times, times - 1 :: times]).all()
    assert picture.std() > 10


@pytest.mark.parametrize("opacity", [0.0, -1.0, 1.5, float("nan")])
def test_an_opacity_out_of_range_names_the_flag(predictor: Predictor, opacity: float) -> None:
    radiograph = Radiograph(hand_pixels())
    answer = predicted(predictor, hand_pixels())
    with pytest.raises(SettingsError, match="--opacity must be above 0 to 1"):
        draw_overlay(radiograph, answer, opacity=opacity)


@given(st.floats(1e-5, 1e4), st.booleans())
def test_the_scale_holds_every_value_and_is_a_round_number(largest: float, negative: bool) -> None:
    scale = scale_of(np.array([[0, -largest if negative else largest]], np.float32))
    assert largest * 0.999 <= scale <= 2.01 * largest
    assert f"{scale:e}"[0] in "123468"


def test_an_empty_map_has_a_scale() -> None:
    assert scale_of(np.zeros((2, 2), np.float32)) > 0


def test_the_colours_are_told_apart_and_nothing_is_white() -> None:
    colours = colour_of(np.array([-2, -1, 0, 1, 2], np.float32))
    assert (colours[0] == colours[1]).all()
    assert (colours[3] == colours[4]).all()
    assert (colours[2] == 255).all()
    assert np.abs(colours[1] - colours[3]).max() > 150


def _with(answer: Prediction, heat_map: HeatMap) -> Prediction:
    import dataclasses

    return dataclasses.replace(answer, heat_map=heat_map)
