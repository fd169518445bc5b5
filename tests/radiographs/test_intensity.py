import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boneage.errors import SettingsError, UnsuitableError
from boneage.radiographs.intensity import normalise, stretch


def hand_like(background: int = 10, seed: int = 0) -> np.ndarray:
    """Bright fingers and a palm in the middle, a white letter at the side; uint8."""
    image = np.full((160, 120), background, np.uint8)
    image[80:160, 40:80] = 110
    for column in range(36, 84, 12):
        image[30:90, column : column + 7] = 120
        image[34:86, column + 2 : column + 5] = 160
    image[20:30, 8:20] = 250
    noise = np.random.default_rng(seed).integers(0, 5, image.shape, dtype=np.uint8)
    return image + noise


@given(
    st.sampled_from([np.uint8, np.uint16, np.float32]),
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(0, 2**16),
)
def test_any_grey_image_comes_out_as_floats_in_the_unit_range(
    dtype: type, height: int, width: int, seed: int
) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width)).astype(dtype)
    before = pixels.copy()
    done = normalise(pixels)
    assert done.image.shape == pixels.shape
    assert done.image.dtype == np.float32
    assert done.image.min() >= 0
    assert done.image.max() <= 1
    assert (done.white < done.black) == (done.inverted and done.black != done.white)
    assert np.array_equal(pixels, before)
    assert np.array_equal(normalise(pixels).image, done.image)


@settings(max_examples=25)
@given(st.integers(1, 200), st.integers(0, 14_000), st.integers(0, 9))
def test_gain_and_offset_change_nothing(gain: int, offset: int, seed: int) -> None:
    eight_bits = hand_like(seed=seed)
    sixteen_bits = (eight_bits.astype(np.uint16) * gain + offset).astype(np.uint16)
    floats = eight_bits.astype(np.float32) * gain - offset
    expected = normalise(eight_bits).image
    assert np.allclose(normalise(sixteen_bits).image, expected, atol=2e-3)
    assert np.allclose(normalise(floats).image, expected, atol=2e-3)


@given(st.integers(0, 60), st.integers(0, 9))
def test_a_negative_is_noticed_and_put_right(background: int, seed: int) -> None:
    pixels = hand_like(background, seed)
    plain, negative = normalise(pixels), normalise(255 - pixels)
    assert not plain.inverted
    assert negative.inverted
    assert np.allclose(plain.image, negative.image, atol=1e-5)
    assert negative.black == pytest.approx(255 - plain.black)


def test_the_marker_is_white_and_the_background_black() -> None:
    done = normalise(hand_like())
    assert done.image[24, 12] > 0.95
    assert done.image[5, 100] < 0.05
    assert not done.bright_background


def test_a_bright_field_on_black_film_is_noticed() -> None:
    pixels = hand_like(background=90)
    pixels[:6] = pixels[-6:] = 0
    pixels[:, :6] = pixels[:, -6:] = 0
    done = normalise(pixels)
    assert done.bright_background
    assert not done.inverted


@pytest.mark.parametrize("value", [0, 7, 255])
def test_a_constant_image_becomes_black(value: int) -> None:
    done = normalise(np.full((40, 50), value, np.uint8))
    assert done.black == done.white == value
    assert not done.image.any()


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((4, 4)),
        np.zeros((4, 4), bool),
        np.zeros((4, 4), np.int32),
        np.zeros((4, 4, 3), np.uint8),
        np.zeros((0, 4), np.uint8),
    ],
)
def test_other_types_are_refused(pixels: np.ndarray) -> None:
    with pytest.raises(SettingsError, match="normalise"):
        normalise(pixels)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(value: float) -> None:
    pixels = np.ones((40, 40), np.float32)
    pixels[3, 5] = value
    with pytest.raises(UnsuitableError, match="not finite"):
        normalise(pixels)


def test_stretch_lets_the_hand_set_the_scale_beside_a_bright_marker() -> None:
    dark = np.where(hand_like() > 200, 1.0, hand_like() / 1500).astype(np.float32)
    bright = stretch(dark)
    assert bright.dtype == np.float32
    assert bright.min() == 0
    assert bright.max() == 1
    assert np.median(bright[100:150, 45:75]) > 0.4
    assert np.allclose(stretch(bright), bright, atol=0.1)
