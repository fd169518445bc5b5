import json
import pickle

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boneage.errors import SettingsError, UnsuitableError
from boneage.radiographs.crop import crop
from boneage.radiographs.geometry import pad_to_square, reduce_to, resize
from boneage.radiographs.intensity import normalise, stretch
from boneage.radiographs.phantom import draw_phantom
from boneage.radiographs.preparation import (
    PREPARATION_VERSION,
    Preparation,
    PreparationSettings,
    PreparedGeometry,
)
from boneage.radiographs.radiograph import Radiograph, Sex

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
    st.floats(0.9, 1.1),
    st.floats(-100, 4000),
    st.floats(-100, 4000),
)
def test_geometry_goes_there_and_back(
    left: int, top: int, scale: float, stretch_down: float, x: float, y: float
) -> None:
    geometry = PreparedGeometry(left, top, scale, stretch_down)
    assert geometry.to_original(*geometry.to_prepared(x, y)) == pytest.approx((x, y), abs=1e-6)
    assert geometry.to_original(-0.5, -0.5) == pytest.approx((left - 0.5, top - 0.5))


COARSE = PreparationSettings(size_px=128, reduce_to=100 / 128)


@given(st.integers(32, 400), st.integers(32, 400), st.integers(32, 120))
def test_the_edges_of_a_reduced_radiograph_are_found_in_the_prepared_image(
    height: int, width: int, short: int
) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (height, width), dtype=np.uint8)
    settings = PreparationSettings(size_px=64, crop=False, reduce_to=short / 64)
    prepared = Preparation(settings)(Radiograph(pixels))
    rows, columns = reduce_to(pixels, short).shape
    scale = max(rows, columns) / 64
    padded = pad_to_square(np.zeros((rows, columns), np.float32))
    left, top = padded.left_px / scale - 0.5, padded.top_px / scale - 0.5
    geometry = prepared.geometry
    assert geometry.to_prepared(-0.5, -0.5) == pytest.approx((left, top))
    far = geometry.to_prepared(width - 0.5, height - 0.5)
    assert far == pytest.approx((left + columns / scale, top + rows / scale))
    assert geometry.to_original(*far) == pytest.approx((width - 0.5, height - 0.5), abs=1e-6)
    box = prepared.crop.box
    assert (box.left_px, box.top_px, box.width_px, box.height_px) == (0, 0, width, height)


@pytest.mark.parametrize("height", [640, 947, 1900])
def test_a_point_of_the_film_is_found_again_when_the_film_was_reduced(height: int) -> None:
    settings = PreparationSettings(size_px=128, reduce_to=100 / 128, stretch=False)
    plain = hand_pixels(height)
    marked = plain.copy()
    x, y = round(118.3 * height / 300), round(161.7 * height / 300)
    cv2.circle(marked, (x, y), round(7 * height / 300), 255, -1)
    without, prepared = (Preparation(settings)(Radiograph(image)) for image in (plain, marked))
    assert without.crop.box == prepared.crop.box
    added = prepared.image - without.image
    added[added < 0.1] = 0
    at_y, at_x = (
        float((axis * added).sum() / added.sum()) for axis in np.indices(added.shape, float)
    )
    reduced_pixel = min(plain.shape) / 100
    assert prepared.geometry.to_original(at_x, at_y) == pytest.approx((x, y), abs=reduced_pixel)
    there = prepared.geometry.to_prepared(x, y)
    assert prepared.geometry.to_original(*there) == pytest.approx((x, y))
    assert there == pytest.approx((at_x, at_y), abs=1.3)


@pytest.mark.parametrize("height", [100, 130, 333, 947, 1900])
def test_the_box_of_a_reduced_film_lies_within_the_film_and_around_the_hand(height: int) -> None:
    pixels = hand_pixels(height)
    box = Preparation(COARSE)(Radiograph(pixels)).crop.box
    assert box.left_px >= 0
    assert box.top_px >= 0
    assert box.left_px + box.width_px <= pixels.shape[1]
    assert box.top_px + box.height_px <= pixels.shape[0]
    # The same hand, found at full size.
    fine = Preparation(PreparationSettings(size_px=128))(Radiograph(pixels)).crop.box
    for ours, theirs in zip(
        (box.left_px, box.top_px, box.left_px + box.width_px, box.top_px + box.height_px),
        (fine.left_px, fine.top_px, fine.left_px + fine.width_px, fine.top_px + fine.height_px),
        strict=True,
    ):
        assert abs(ours - theirs) <= 0.03 * height


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_film_and_its_reduced_copy_are_prepared_alike(dtype: type) -> None:
    drawn = draw_phantom(126, Sex.MALE, rng=np.random.default_rng(4), height_px=900).pixels
    white = {np.uint8: 1, np.uint16: 257, np.float32: 1 / 255}[dtype]
    film = Radiograph(drawn.astype(dtype) * dtype(white))
    prepared = Preparation(COARSE)(film)
    # A copy of the very scale gives the very image; one in between, nearly so.
    small = Preparation(COARSE)(Radiograph(reduce_to(film.pixels, 100)))
    assert np.array_equal(small.image, prepared.image)
    between = Preparation(COARSE)(Radiograph(reduce_to(film.pixels, 233)))
    assert np.abs(between.image - prepared.image).mean() < 0.01
    # Each says where things lie in its own pixels.
    scale = min(film.pixels.shape) / 100
    assert prepared.geometry.scale == pytest.approx(small.geometry.scale * scale)
    assert prepared.geometry.left_px == pytest.approx(small.geometry.left_px * scale)
    assert small.geometry.stretch_down == 1


def test_reducing_first_is_not_the_same_as_resizing_at_once() -> None:
    film = Radiograph(hand_pixels(900))
    fine = Preparation(PreparationSettings(size_px=256))(film).image
    coarse = Preparation(PreparationSettings(size_px=256, reduce_to=100 / 256))(film).image
    sharpness = [float(np.abs(np.diff(image, axis=1)).max()) for image in (fine, coarse)]
    assert sharpness[1] < 0.8 * sharpness[0]


def test_a_film_without_a_pixel_to_spare_is_prepared_as_before() -> None:
    film = Radiograph(hand_pixels(125))  # 100 px wide
    plain = Preparation(PreparationSettings(size_px=128))(film)
    coarse = Preparation(COARSE)(film)
    assert np.array_equal(plain.image, coarse.image)
    assert plain.geometry == coarse.geometry


def test_the_scale_follows_the_size() -> None:
    assert COARSE.short_side_px == 100
    assert PreparationSettings(size_px=512, reduce_to=100 / 128).short_side_px == 400
    assert PreparationSettings().short_side_px == 0


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
    settings = PreparationSettings(320, crop=False, margin=0.1, stretch=False, reduce_to=0.5)
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
        ({"reduce_to": -0.1}, "reduce_to"),
        ({"reduce_to": 8.1}, "reduce_to"),
        ({"reduce_to": True}, "reduce_to"),
        ({"reduce_to": "half"}, "reduce_to"),
        ({"reduce_to": float("nan")}, "reduce_to"),
        ({"reduce_to": 0.3, "size_px": 96}, "reduce_to .* 32 px"),
    ],
)
def test_unknown_or_impossible_settings_are_refused(values: dict[str, object], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        PreparationSettings.from_dict(values)
