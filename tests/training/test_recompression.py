"""Passages through JPEG: what is chosen loses detail, what is not stays as it is."""

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from boneage.training.augmentation import AugmentationSettings, augment, draw_augmentation
from boneage.training.recompression import recompress


def bones(count: int, size: int) -> torch.Tensor:
    """Smooth bars with edges, as a hand has, and a little noise."""
    generator = torch.Generator().manual_seed(7)
    across = torch.linspace(0, 9, size).sin().clamp(0, 1)
    noise = torch.rand(count, 1, size, size, generator=generator) * 0.1
    return (across[None, None, None, :] * 0.8 + noise).clamp(0, 1)


@given(size=st.integers(32, 160), quality=st.integers(1, 100))
@settings(max_examples=20)
def test_only_the_chosen_images_change(size: int, quality: int) -> None:
    images = bones(3, size)
    before = images.clone()
    result = recompress(
        images, torch.tensor([0.0, float(quality), 0.0]), torch.full((3,), 0.5), 0.7
    )
    assert torch.equal(images, before)
    assert result.shape == images.shape
    assert torch.equal(result[[0, 2]], images[[0, 2]])
    assert not torch.equal(result[1], images[1])
    assert 0 <= float(result.min()) <= float(result.max()) <= 1


def test_less_quality_leaves_less() -> None:
    images = bones(1, 128).expand(4, 1, 128, 128)
    result = recompress(images, torch.tensor([95.0, 60.0, 30.0, 5.0]), torch.ones(4), 0.78)
    lost = (result - images).square().mean(dim=(1, 2, 3))
    assert lost.tolist() == sorted(lost.tolist())
    assert lost[3] > 1.5 * lost[0]


@pytest.mark.parametrize("quality", [90.0, 30.0])
def test_a_dark_film_loses_more(quality: float) -> None:
    images = bones(1, 128).expand(4, 1, 128, 128)
    span = torch.tensor([1.0, 0.5, 0.25, 0.1])
    lost = (recompress(images, torch.full((4,), quality), span, 0.78) - images).square()
    assert torch.all(lost.mean(dim=(1, 2, 3)).diff() > 0)


def test_blocks_of_a_small_file_are_larger() -> None:
    images = bones(1, 128)
    small, large = (
        recompress(images, torch.tensor([30.0]), torch.ones(1), share) for share in (0.4, 1.0)
    )
    assert (small - images).square().mean() > 1.2 * (large - images).square().mean()


def test_nothing_chosen_is_nothing_done() -> None:
    images = bones(2, 32)
    assert recompress(images, torch.zeros(2), torch.ones(2), 0.78) is images


def test_the_share_is_as_asked_for_and_the_other_draws_stay() -> None:
    plain = AugmentationSettings(blur=0.01)
    lossy = AugmentationSettings(blur=0.01, jpeg=0.3)
    without = draw_augmentation(2000, plain, torch.Generator().manual_seed(1))
    with_it = draw_augmentation(2000, lossy, torch.Generator().manual_seed(1))
    assert without.quality is None
    assert with_it.quality is not None
    assert torch.equal(without.gamma, with_it.gamma)
    assert without.blur is not None
    assert with_it.blur is not None
    assert torch.equal(without.blur, with_it.blur)
    chosen = with_it.quality[with_it.quality > 0]
    assert 0.25 < len(chosen) / 2000 < 0.35
    assert chosen.min() >= 20
    assert chosen.max() <= 90
    assert without.span is None
    assert with_it.span is not None
    assert 0.1 <= with_it.span.min() < 0.15
    assert 0.75 < with_it.span.max() <= 0.8


def test_a_jpeg_alone_is_an_augmentation_and_can_be_replayed() -> None:
    only = dataclasses.replace(AugmentationSettings.off(), jpeg=1.0, jpeg_side=0.5)
    assert not only.is_off
    draw = draw_augmentation(2, only, torch.Generator().manual_seed(0))
    images = bones(2, 64)
    once, again = augment(images, draw), augment(images, draw)
    assert torch.equal(once, again)
    assert float((once - images).abs().max()) > 0.01
