import dataclasses
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
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
    off = AugmentationSettings(**{f.name: 0 for f in dataclasses.fields(AugmentationSettings)})
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
