"""Grad-CAM and occlusion: against what is known of networks that were built by hand."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from boneage.errors import InputError, SettingsError
from boneage.inference.card import Card
from boneage.network.build import BoneAgeNetwork, build_network
from boneage.network.settings import NetworkSettings
from boneage.training.explain import FILLS, grad_cam, layers, occlusion, open_network
from boneage.training.export import export_bundle, to_onnx
from boneage.training.settings import TrainingSettings

SIZE_PX = 32
SEXES = np.array([0, 1], np.float32)
ARCHITECTURES = ("efficientnet", "residual", "hypermodel")


def settings_of(architecture: str) -> NetworkSettings:
    return NetworkSettings(
        architecture=architecture, stages=3, hidden=16, width=8, blocks=(0, 1), conv_layers=2
    )


def network_of(architecture: str) -> BoneAgeNetwork:
    torch.manual_seed(1)
    settings = settings_of(architecture)
    return build_network(settings, size_px=SIZE_PX, mean_months=120, sd_months=40).eval()


def some_images() -> NDArray[np.float32]:
    return np.random.default_rng(0).random((2, SIZE_PX, SIZE_PX), np.float32)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_convolution_can_be_asked(architecture: str) -> None:
    network, images = network_of(architecture), some_images()
    before = network(torch.from_numpy(images)[:, None], torch.from_numpy(SEXES))
    sides = []
    for layer in layers(network):
        found = grad_cam(network, images, SEXES, layer=layer)
        assert found.ndim == 3
        assert len(found) == 2
        assert found.any()
        sides.append(found.shape[-1])
    assert sides[-1] < sides[0] <= SIZE_PX
    last = grad_cam(network, images, SEXES)
    np.testing.assert_array_equal(last, grad_cam(network, images, SEXES, layer=layers(network)[-1]))
    after = network(torch.from_numpy(images)[:, None], torch.from_numpy(SEXES))
    assert torch.equal(before, after)  # no hook is left


def test_where_the_mean_over_places_follows_grad_cam_is_gradient_times_features() -> None:
    network = network_of("hypermodel")
    # The last convolution straight into a mean and one number: its map is known.
    body = network.body
    body.features = torch.nn.Sequential(*list(body.features)[:5])
    body.dense = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    weights = torch.arange(33.0)[None] / 33
    body.head = torch.nn.Linear(33, 1)
    with torch.no_grad():
        body.head.weight.copy_(weights)
    images = some_images()
    features = body.features(torch.from_numpy(images)[:, None])
    wanted = 40 * (weights[0, :32, None, None] * features).sum(dim=1) / features[0, 0].numel()
    found = grad_cam(network, images, SEXES)
    np.testing.assert_allclose(found, wanted.detach().numpy(), rtol=1e-4, atol=1e-5)


def test_a_layer_that_looks_at_a_region_is_put_into_its_place() -> None:
    settings = NetworkSettings(
        architecture="efficientnet", stages=3, hidden=8,
        regions=((0, 0, 1, 1, False), (0.5, 0.25, 0.5, 2.0, True)),
    )  # fmt: skip
    torch.manual_seed(0)
    network = build_network(settings, size_px=SIZE_PX, mean_months=100, sd_months=50).eval()
    names = layers(network)
    found = grad_cam(network, some_images(), SEXES, layer=names[-1])
    assert names[-1].startswith("others.0.")
    assert found.shape == (2, 8, 8)
    assert found[:, 2:6, 4:].any()
    assert not found[:, :, :4].any()
    assert not found[:, :2].any()
    assert not found[:, 6:].any()
    first = [name for name in names if name.startswith("body.")][-1]
    np.testing.assert_array_equal(
        grad_cam(network, some_images(), SEXES),
        grad_cam(network, some_images(), SEXES, layer=first),
    )


def test_an_unknown_layer_is_named() -> None:
    with pytest.raises(SettingsError, match=r"not 'body\.nowhere'"):
        grad_cam(network_of("residual"), some_images(), SEXES, layer="body.nowhere")


class Corner(torch.nn.Module):
    """A standardised age that is the mean of the upper left quarter, and the sex."""

    def forward(self, image: torch.Tensor, sex: torch.Tensor) -> torch.Tensor:
        half = SIZE_PX // 2
        return image[:, 0, :half, :half].mean(dim=(1, 2)) + sex


@pytest.mark.parametrize("fill", FILLS)
def test_only_covering_what_the_network_looks_at_changes_the_age(fill: str) -> None:
    network = BoneAgeNetwork(Corner(), mean_months=100, sd_months=50).eval()
    images = some_images()
    found = occlusion(network, images, SEXES, cells=4, patch=0.25, fill=fill, batch_size=5)
    assert found.shape == (2, 4, 4)
    assert np.abs(found[:, :2, :2]).min() > 1e-4
    assert np.abs(found[:, 2:]).max() < 1e-4
    assert np.abs(found[:, :, 2:]).max() < 1e-4
    if fill == "black":
        quarters = images[:, :16, :16].reshape(2, 2, 8, 2, 8).mean(axis=(2, 4))
        np.testing.assert_allclose(found[:, :2, :2], 50 * quarters / 4, rtol=1e-3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cells": 0}, "cells"),
        ({"patch": 0.0}, "patch"),
        ({"fill": "white"}, "fill must be one of"),
    ],
)
def test_an_option_out_of_range_is_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        occlusion(network_of("residual"), some_images(), SEXES, **changes)  # type: ignore[arg-type]


def test_the_network_of_a_bundle_is_opened_with_its_weights(tmp_path: Path) -> None:
    network = network_of("residual")
    settings = TrainingSettings(size_px=SIZE_PX, network=settings_of("residual"))
    graph = to_onnx(network, SIZE_PX)

    def write(name: str, trained_on: dict[str, object]) -> Path:
        card = Card("tiny", None, 1, SIZE_PX, trained_on=trained_on)
        return export_bundle(tmp_path / name, network, graph, card)

    opened = open_network(write("good", {"settings": settings.to_dict()}))
    images = some_images()
    found, wanted = (grad_cam(item, images, SEXES) for item in (opened, network))
    np.testing.assert_array_equal(found, wanted)
    assert not opened.training
    with pytest.raises(InputError, match="does not hold the settings"):
        open_network(write("bare", {}))
