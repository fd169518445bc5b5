import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boneage.errors import SettingsError
from boneage.radiographs.geometry import pad_to_square, resize

sides = st.integers(1, 70)


def random_image(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((height, width), dtype=np.float32)


@given(sides, sides)
def test_padding_keeps_the_picture_in_the_middle(height: int, width: int) -> None:
    image = random_image(height, width)
    before = image.copy()
    padded = pad_to_square(image)
    side = max(height, width)
    assert padded.image.shape == (side, side)
    assert padded.image.dtype == np.float32
    rows = slice(padded.top_px, padded.top_px + height)
    columns = slice(padded.left_px, padded.left_px + width)
    assert np.array_equal(padded.image[rows, columns], image)
    assert abs((side - height) - 2 * padded.top_px) <= 1
    assert abs((side - width) - 2 * padded.left_px) <= 1
    assert padded.image.sum(dtype=float) == pytest.approx(image.sum(dtype=float))
    assert np.array_equal(image, before)


@given(sides, st.integers(16, 90))
def test_resize_gives_any_size_within_the_unit_range(side: int, size: int) -> None:
    image = np.round(random_image(side, side))
    before = image.copy()
    small = resize(image, size)
    assert small.shape == (size, size)
    assert small.dtype == np.float32
    assert small.min() >= 0
    assert small.max() <= 1
    assert np.array_equal(image, before)
    assert not np.shares_memory(small, image)


@given(st.integers(16, 90), st.integers(16, 90))
def test_resize_keeps_the_centre_of_mass(side: int, size: int) -> None:
    y, x = np.mgrid[0:side, 0:side]
    image = np.exp(-((x - side * 0.4) ** 2 + (y - side * 0.6) ** 2) / (side / 8) ** 2)
    small = resize(image.astype(np.float32), size)

    def centre(picture: np.ndarray) -> np.ndarray:
        grid = (np.indices(picture.shape) + 0.5) / picture.shape[0]
        return np.array([(axis * picture).sum() / picture.sum() for axis in grid])

    assert centre(small) == pytest.approx(centre(image), abs=0.02)


def test_downscaling_is_antialiased() -> None:
    stripes = np.tile(np.array([0, 1], np.float32), (512, 256))
    assert np.allclose(resize(stripes, 64), 0.5)


@pytest.mark.parametrize("size", [0, 15, 4097, -3, 64.0, True, "64"])
def test_impossible_sizes_are_refused(size: object) -> None:
    with pytest.raises(SettingsError, match="--size"):
        resize(random_image(20, 20), size)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4)),
        np.zeros((4, 4), bool),
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4), np.float32),
    ],
)
def test_other_inputs_are_refused_by_name(image: np.ndarray) -> None:
    with pytest.raises(SettingsError, match="pad_to_square"):
        pad_to_square(image)
    with pytest.raises(SettingsError, match="resize"):
        resize(image)
