import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from torch.nn import functional

from boneage.errors import SettingsError
from boneage.training.augmentation import (
    AugmentationDraw,
    AugmentationSettings,
    augment,
    draw_augmentation,
)

NEUTRAL = {
    "flip": 1.0, "angle_rad": 0.0, "scale": 1.0, "shift_x": 0.0, "shift_y": 0.0,
    "gamma": 1.0, "contrast": 1.0, "brightness": 0.0,
}  # fmt: skip


def one(**changes: float) -> AugmentationDraw:
    values = {**NEUTRAL, **changes}
    return AugmentationDraw(**{name: torch.tensor([value]) for name, value in values.items()})


def spot(row: int, column: int, size: int = 65) -> torch.Tensor:
    image = torch.zeros(1, 1, size, size)
    image[0, 0, row - 1 : row + 2, column - 1 : column + 2] = 1
    return image


def place(image: torch.Tensor) -> tuple[int, int]:
    weights = image[0, 0] / image.sum()
    steps = torch.arange(image.shape[-1], dtype=torch.float32)
    return round(float((weights.sum(1) * steps).sum())), round(
        float((weights.sum(0) * steps).sum())
    )


def test_a_neutral_draw_changes_nothing() -> None:
    image = torch.rand(1, 1, 48, 48)
    torch.testing.assert_close(augment(image, one()), image, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"flip": -1.0}, (12, 44)),
        ({"angle_rad": torch.pi / 2}, (44, 12)),
        ({"scale": 1.5}, (2, 14)),
        ({"shift_x": 0.2}, (12, 33)),
        ({"shift_y": 0.2}, (25, 20)),
        ({"flip": -1.0, "shift_x": 0.2}, (12, 57)),
    ],
)
def test_a_spot_moves_as_documented(changes: dict[str, float], expected: tuple[int, int]) -> None:
    row, column = place(augment(spot(12, 20), one(**changes)))
    assert abs(row - expected[0]) <= 1
    assert abs(column - expected[1]) <= 1


@given(seed=st.integers(0, 2**31), count=st.integers(1, 5))
def test_a_draw_can_be_replayed_and_stays_in_range(seed: int, count: int) -> None:
    settings = AugmentationSettings()
    images = torch.rand(count, 1, 32, 32, generator=torch.Generator().manual_seed(seed))
    before = images.clone()
    draw = draw_augmentation(count, settings, torch.Generator().manual_seed(seed))
    again = draw_augmentation(count, settings, torch.Generator().manual_seed(seed))
    result = augment(images, draw)
    assert torch.equal(result, augment(images, again))
    assert torch.equal(images, before)
    assert result.shape == images.shape
    assert 0 <= float(result.min()) <= float(result.max()) <= 1
    assert (draw.scale - 1).abs().max() <= settings.scale
    assert draw.shift_x.abs().max() <= settings.shift
    assert draw.gamma.log2().abs().max() <= settings.gamma + 1e-6
    assert set(draw.flip.tolist()) <= {-1.0, 1.0}


def test_zero_switches_every_change_off() -> None:
    off = AugmentationSettings.off()
    assert off.is_off
    assert not AugmentationSettings().is_off
    images = torch.rand(4, 1, 40, 40)
    draw = draw_augmentation(4, off, torch.Generator().manual_seed(1))
    torch.testing.assert_close(augment(images, draw), images, atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", [f.name for f in dataclasses.fields(AugmentationSettings)])
@pytest.mark.parametrize("value", [-0.1, 1000.0])
def test_a_reach_out_of_range_is_named(name: str, value: float) -> None:
    with pytest.raises(SettingsError, match=name):
        AugmentationSettings(**{name: value})


@given(
    angle=st.floats(-3.2, 3.2),
    scale=st.floats(0.5, 2.0),
    shift=st.floats(-0.5, 0.5),
    size=st.integers(2, 40),
)
def test_the_resampling_is_that_of_pytorchs_affine_grid(
    angle: float, scale: float, shift: float, size: int
) -> None:
    image = torch.rand(1, 1, size, size, generator=torch.Generator().manual_seed(size))
    moved = augment(image, one(angle_rad=angle, scale=scale, shift_x=shift))
    cosine, sine = math.cos(angle) / scale, math.sin(angle) / scale
    theta = torch.tensor(
        [[[cosine, -sine, -2 * cosine * shift], [sine, cosine, -2 * sine * shift]]]
    )
    grid = functional.affine_grid(theta, [1, 1, size, size], align_corners=False)
    expected = functional.grid_sample(image, grid, align_corners=False)
    torch.testing.assert_close(moved, expected.clamp(1e-6, 1), rtol=0, atol=1e-4)


BLURRED = AugmentationSettings(blur=0.02)


def sharp(count: int, blur: list[float] | None) -> AugmentationDraw:
    """A draw that changes nothing but the sharpness."""
    values = {name: torch.full((count,), value) for name, value in NEUTRAL.items()}
    return AugmentationDraw(**values, blur=None if blur is None else torch.tensor(blur))


@given(seed=st.integers(0, 2**31), count=st.integers(1, 5))
def test_blur_leaves_every_other_draw_as_it_was(seed: int, count: int) -> None:
    plain, blurred = (
        draw_augmentation(count, settings, torch.Generator().manual_seed(seed))
        for settings in (AugmentationSettings(), BLURRED)
    )
    assert plain.blur is None
    assert blurred.blur is not None
    assert blurred.blur.shape == (count,)
    assert 0 <= blurred.blur.min() <= blurred.blur.max() <= 0.02
    for field in dataclasses.fields(AugmentationDraw):
        if field.name not in ("blur", "quality", "span", "jpeg_side"):
            assert torch.equal(getattr(plain, field.name), getattr(blurred, field.name))


@given(seed=st.integers(0, 2**31), count=st.integers(1, 5))
def test_a_blur_can_be_replayed_and_changes_nothing_but_the_sharpness(
    seed: int, count: int
) -> None:
    images = torch.rand(count, 1, 32, 32, generator=torch.Generator().manual_seed(seed))
    before = images.clone()
    draw = draw_augmentation(count, BLURRED, torch.Generator().manual_seed(seed))
    result = augment(images, draw)
    assert torch.equal(images, before)
    assert torch.equal(result, augment(images, draw))
    assert result.shape == images.shape
    assert result.is_contiguous()
    assert 0 <= float(result.min()) <= float(result.max()) <= 1
    assert draw.blur is not None
    unblurred = augment(images, dataclasses.replace(draw, blur=None))
    nothing = augment(images, dataclasses.replace(draw, blur=torch.zeros(count)))
    torch.testing.assert_close(nothing, unblurred, rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", [24, 48])
def test_the_blur_is_a_gaussian_of_its_own_for_each_image(size: int) -> None:
    images = torch.rand(4, 1, size, size, generator=torch.Generator().manual_seed(1))
    sigmas_px = [0.0, 0.4, 0.8, 1.2]
    result = augment(images, sharp(4, [sigma / size for sigma in sigmas_px]))
    for image, blurred, sigma in zip(images[:, 0], result[:, 0], sigmas_px, strict=True):
        expected = image.numpy()
        if sigma:
            expected = ndimage.gaussian_filter(expected, sigma, mode="constant", radius=2)
        np.testing.assert_allclose(blurred.numpy(), expected, atol=1e-4)


def test_more_blur_leaves_less_noise_and_keeps_the_grey() -> None:
    noise = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(2))
    images = noise.expand(4, -1, -1, -1).contiguous()
    result = augment(images, sharp(4, [0.0, 0.006, 0.012, 0.02]))
    inner = result[:, 0, 4:-4, 4:-4]
    variances = inner.var(dim=(1, 2)).tolist()
    assert variances == sorted(variances, reverse=True)
    assert variances[-1] < 0.2 * variances[0]
    assert inner.mean(dim=(1, 2)).tolist() == pytest.approx([0.5] * 4, abs=0.02)
