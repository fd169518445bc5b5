import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boneage.errors import SettingsError
from boneage.radiographs.geometry import pad_to_square, reduce_to, resize

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


def grey_values(height: int, width: int, dtype: type) -> np.ndarray:
    image = random_image(height, width)
    return image if dtype == np.float32 else (image * np.iinfo(dtype).max).astype(dtype)


dtypes = st.sampled_from([np.uint8, np.uint16, np.float32])


@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 120), dtypes)
def test_reducing_gives_the_short_side_and_keeps_the_aspect(
    height: int, width: int, wanted: int, dtype: type
) -> None:
    image = grey_values(height, width, dtype)
    before = image.copy()
    reduced = reduce_to(image, wanted)
    assert np.array_equal(image, before)
    assert reduced.dtype == dtype
    if wanted >= min(height, width):
        assert reduced is image
        return
    factor = wanted / min(height, width)
    assert min(reduced.shape) == wanted
    assert abs(reduced.shape[0] - height * factor) <= 0.5
    assert abs(reduced.shape[1] - width * factor) <= 0.5
    assert image.min() <= reduced.min() <= reduced.max() <= image.max()
    rounding = 1e-4 if dtype == np.float32 else 0.6
    assert reduced.mean(dtype=float) == pytest.approx(image.mean(dtype=float), abs=rounding)
    assert reduce_to(reduced, wanted) is reduced


@given(st.integers(1, 50), st.integers(1, 50), st.sampled_from([2, 3, 7]), dtypes)
def test_reducing_by_a_whole_factor_takes_the_mean_of_each_block(
    height: int, width: int, factor: int, dtype: type
) -> None:
    image = grey_values(height * factor, width * factor, dtype)
    blocks = image.reshape(height, factor, width, factor).mean(axis=(1, 3), dtype=float)
    reduced = reduce_to(image, min(height, width))
    assert reduced.shape == (height, width)
    # Half a grey value for the rounding, and a little for sums in single precision.
    assert np.abs(reduced - blocks).max() <= (1e-5 if dtype == np.float32 else 0.51)


@given(st.integers(1, 400), st.integers(1, 400), st.integers(1, 120), dtypes)
def test_reducing_by_samples_has_the_shape_of_reducing_by_means(
    height: int, width: int, wanted: int, dtype: type
) -> None:
    image = grey_values(height, width, dtype)
    sampled = reduce_to(image, wanted, method="samples")
    assert sampled.dtype == dtype
    assert sampled.shape == reduce_to(image, wanted).shape
    assert (sampled is image) == (wanted >= min(height, width))


def test_reducing_by_samples_aliases_what_means_smooth_away() -> None:
    # Stripes of two pixels, finer than the wanted scale and coarser than nine times of it.
    stripes = np.tile(np.array([0, 0, 255, 255], np.uint8), (300, 75))
    smooth, sampled = (reduce_to(stripes, 100, method=name) for name in ("means", "samples"))
    assert smooth.std() < 0.6 * sampled.std()
    flat = np.full((300, 200), 77, np.uint8)
    assert (reduce_to(flat, 100, method="samples") == 77).all()


def test_reducing_by_samples_takes_the_middles_of_a_square_grid() -> None:
    image = np.random.default_rng(0).integers(0, 256, (900, 900), dtype=np.uint8)
    # At most nine times as large: nothing is averaged, every ninth pixel is taken.
    assert np.array_equal(reduce_to(image, 100, method="samples"), image[4::9, 4::9])


def test_an_unknown_way_of_reducing_is_refused() -> None:
    with pytest.raises(SettingsError, match="reduce_by must be one of means, samples"):
        reduce_to(np.zeros((9, 9), np.uint8), 3, method="nearest")


def test_reducing_can_be_left_out() -> None:
    image = grey_values(60, 40, np.uint8)
    assert reduce_to(image, 0) is image


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
