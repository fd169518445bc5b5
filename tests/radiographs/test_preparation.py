import json
import pickle

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boneage.errors import SettingsError, UnsuitableError
from boneage.radiographs.crop import crop
from boneage.radiographs.geometry import pad_to_square, resize
from boneage.radiographs.intensity import normalise, stretch
from boneage.radiographs.preparation import (
    PREPARATION_VERSION,
    Preparation,
    PreparationSettings,
    PreparedGeometry,
)
from boneage.radiographs.radiograph import Radiograph

SETTINGS = PreparationSettings(size_px=96)


def hand_pixels(height: int = 300, white: int = 255, dtype: type = np.uint8) -> np.ndarray:
    """A drawn hand, fingers up, with a marker letter."""
    scale = height / 300
    image = np.full((height, round(240 * scale)), 0.04, np.float32)

    def line(start: tuple[int, int], end: tuple[int, int], thick: int, value: float) -> None:
        a, b = ([round(v * scale) for v in point] for point in (start, end))
        cv2.line(image, a, b, value, max(1, round(thick * scale)))

    for value, thinner in ((0.4, 0), (0.6, 7)):
        for tip in ((60, 75), (95, 45), (125, 38), (155, 55), (195, 125)):
            line((120, 170), tip, 15 - thinner, value)
        line((120, 150), (122, 175), 60 - thinner, value)
        line((120, 190), (120, 330), 38 - thinner, value)
    image[round(20 * scale) : round(40 * scale), round(10 * scale) : round(22 * scale)] = 1
    image += np.random.default_rng(0).normal(0, 0.004, image.shape).astype(np.float32)
    return (np.clip(image, 0, 1) * white).astype(dtype)


@pytest.mark.parametrize("height", [100, 300, 1900])
@pytest.mark.parametrize(("white", "dtype"), [(255, np.uint8), (4095, np.uint16)])
@pytest.mark.parametrize("stretched", [True, False])
def test_it_equals_the_pure_functions_one_after_the_other(
    height: int, white: int, dtype: type, stretched: bool
) -> None:
    pixels = hand_pixels(height, white, dtype)
    before = pixels.copy()
    settings = PreparationSettings(size_px=128, stretch=stretched)
    prepared = Preparation(settings)(Radiograph(pixels))
    cropped = crop(normalise(pixels).image, settings.margin)
    hand = stretch(cropped.image) if stretched else cropped.image
    expected = resize(pad_to_square(hand).image, 128)
    assert np.allclose(prepared.image, expected, atol=1e-5)
    assert prepared.crop.box == cropped.box
    assert prepared.warnings == ()
    assert prepared.image.dtype == np.float32
    assert np.array_equal(pixels, before)


def test_polarity_bits_and_size_of_the_file_matter_little() -> None:
    expected = Preparation(SETTINGS)(Radiograph(hand_pixels())).image
    others = {
        "negative": 255 - hand_pixels(),
        "12 bits": hand_pixels(white=4095, dtype=np.uint16),
        "floats": hand_pixels(dtype=np.float32),
        "larger": hand_pixels(1200),
    }
    for name, pixels in others.items():
        image = Preparation(SETTINGS)(Radiograph(pixels)).image
        assert np.abs(image - expected).mean() < 0.03, name


def test_a_negative_gives_a_warning() -> None:
    prepared = Preparation(SETTINGS)(Radiograph(255 - hand_pixels()))
    assert prepared.normalised.inverted
    assert prepared.warnings == ("inverted polarity put right",)


def test_a_failed_crop_gives_a_warning() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (150, 120), dtype=np.uint8)
    prepared = Preparation(SETTINGS)(Radiograph(noise))
    assert prepared.crop.fallback
    (warning,) = [text for text in prepared.warnings if "crop" in text]
    assert warning == f"crop fell back to the whole image: {prepared.crop.reason}"


def test_the_crop_can_be_left_out() -> None:
    prepared = Preparation(PreparationSettings(size_px=96, crop=False))(Radiograph(hand_pixels()))
    assert (prepared.crop.box.width_px, prepared.crop.box.height_px) == (240, 300)
    assert not prepared.crop.fallback


def test_a_point_of_the_film_is_found_again_in_the_prepared_image() -> None:
    pixels = hand_pixels(900)
    cv2.circle(pixels, (375, 500), 9, 255, -1)
    prepared = Preparation(PreparationSettings(size_px=256))(Radiograph(pixels))
    x, y = prepared.geometry.to_prepared(375, 500)
    rows, columns = np.nonzero(prepared.image > 0.98)
    assert np.hypot(rows - y, columns - x).min() < 1.5
    assert prepared.geometry.to_original(x, y) == pytest.approx((375, 500))


@given(
    st.integers(-500, 500),
    st.integers(-500, 500),
    st.floats(0.1, 20),
    st.floats(-100, 4000),
    st.floats(-100, 4000),
)
def test_geometry_goes_there_and_back(
    left: int, top: int, scale: float, x: float, y: float
) -> None:
    geometry = PreparedGeometry(left, top, scale)
    assert geometry.to_original(*geometry.to_prepared(x, y)) == pytest.approx((x, y), abs=1e-6)
    assert geometry.to_original(-0.5, -0.5) == pytest.approx((left - 0.5, top - 0.5))


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (31, 400), (400, 31)])
def test_tiny_images_are_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(UnsuitableError, match=r"tiny\.png.*at least 32"):
        Preparation()(Radiograph(np.zeros(shape, np.uint8), source="tiny.png"))


@pytest.mark.parametrize("value", [0, 200])
def test_constant_images_are_refused(value: int) -> None:
    with pytest.raises(UnsuitableError, match=rf"blank\.png.*all pixels are {value}"):
        Preparation()(Radiograph(np.full((64, 64), value, np.uint8), source="blank.png"))


def test_values_that_are_not_finite_are_refused_with_the_name() -> None:
    pixels = hand_pixels(dtype=np.float32)
    pixels[5, 5] = np.nan
    with pytest.raises(UnsuitableError, match=r"nan\.tif.*not finite"):
        Preparation()(Radiograph(pixels, source="nan.tif"))


def test_settings_survive_json_and_preparations_survive_pickling() -> None:
    settings = PreparationSettings(size_px=320, crop=False, margin=0.1, stretch=False)
    again = PreparationSettings.from_dict(json.loads(json.dumps(settings.to_dict())))
    assert again == settings
    assert pickle.loads(pickle.dumps(Preparation(settings))).settings == settings
    assert PreparationSettings.from_dict({}) == PreparationSettings()
    assert PREPARATION_VERSION >= 1


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"colour": 1}, "'colour'"),
        ({"size_px": 8}, "--size"),
        ({"size_px": "256"}, "--size"),
        ({"margin": 0.6}, "margin"),
        ({"margin": "wide"}, "margin"),
        ({"crop": 1}, "crop"),
        ({"stretch": None}, "stretch"),
    ],
)
def test_unknown_or_impossible_settings_are_refused(values: dict[str, object], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        PreparationSettings.from_dict(values)
