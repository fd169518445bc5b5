import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from boneage.errors import SettingsError
from boneage.network.build import build_network
from boneage.network.settings import NetworkSettings


@pytest.mark.parametrize("architecture", ["residual", "hypermodel"])
@pytest.mark.parametrize("size_px", [32, 96, 100, 257])
def test_any_size_gives_one_number_a_radiograph(architecture: str, size_px: int) -> None:
    settings = NetworkSettings(architecture=architecture, conv_filters=4, width=8)
    network = build_network(settings, size_px=size_px, mean_months=120, sd_months=40).eval()
    months = network(torch.rand(3, 1, size_px, size_px), torch.tensor([0.0, 1.0, 1.0]))
    assert months.shape == (3,)
    assert months.dtype == torch.float32
    assert torch.isfinite(months).all()


@pytest.mark.parametrize("architecture", ["residual", "hypermodel", "efficientnet"])
def test_the_sex_changes_the_answer(architecture: str) -> None:
    torch.manual_seed(0)
    settings = NetworkSettings(architecture=architecture, conv_filters=4, width=8)
    network = build_network(settings, size_px=64, sd_months=40).eval()
    image = torch.rand(1, 1, 64, 64).expand(2, -1, -1, -1)
    girl, boy = network(image, torch.tensor([0.0, 1.0])).tolist()
    assert girl != boy


@given(
    layers=st.sampled_from([3, 4, 5]),
    filters=st.sampled_from([8, 16, 32]),
    depth=st.sampled_from([1, 2, 3]),
    dropout=st.sampled_from([0.1, 0.2, 0.3]),
)
def test_the_hypermodel_has_the_layers_that_it_is_asked_for(
    layers: int, filters: int, depth: int, dropout: float
) -> None:
    settings = NetworkSettings(
        architecture="hypermodel",
        conv_layers=layers,
        conv_filters=filters,
        dense_depth=depth,
        dropout=dropout,
    )
    body = build_network(settings, size_px=64).body
    convolutions = [m for m in body.modules() if isinstance(m, nn.Conv2d)]
    dense = [m for m in body.modules() if isinstance(m, nn.Linear)]
    dropped = [m for m in body.modules() if isinstance(m, nn.Dropout)]
    assert [m.out_channels for m in convolutions] == [filters * 2**i for i in range(layers)]
    assert {m.kernel_size for m in convolutions} == {(3, 3)}
    assert len([m for m in body.modules() if isinstance(m, nn.BatchNorm2d)]) == layers
    assert len([m for m in body.modules() if isinstance(m, nn.MaxPool2d)]) == layers
    # One dense layer before the sex joins, `depth` after it, and the one that answers.
    assert [m.out_features for m in dense] == [256] * (depth + 1) + [1]
    assert dense[1].in_features == 257
    assert [m.p for m in dropped] == [dropout] * depth


def test_an_image_too_small_for_the_layers_is_named() -> None:
    settings = NetworkSettings(architecture="hypermodel", conv_layers=6)
    with pytest.raises(SettingsError, match="--size 32 is too small for --conv-layers 6"):
        build_network(settings, size_px=32)


@pytest.mark.parametrize(
    ("changes", "flag"),
    [
        ({"architecture": "resnet"}, "--architecture"),
        ({"conv_layers": 0}, "--conv-layers"),
        ({"conv_filters": 0}, "--conv-filters"),
        ({"dense_units": 0}, "--dense-units"),
        ({"dense_depth": 9}, "--dense-depth"),
        ({"dropout": 1.0}, "--dropout"),
        ({"dropout": -0.1}, "--dropout"),
        ({"width": 4}, "--width"),
        ({"blocks": ()}, "--blocks"),
    ],
)
def test_settings_out_of_range_name_the_flag(changes: dict[str, object], flag: str) -> None:
    with pytest.raises(SettingsError, match=flag):
        NetworkSettings(**changes)  # type: ignore[arg-type]


def test_settings_survive_json_and_refuse_unknown_names() -> None:
    settings = NetworkSettings(blocks=(1, 1), dropout=0.3)
    assert NetworkSettings.from_dict(settings.to_dict()) == settings
    with pytest.raises(SettingsError, match="colour"):
        NetworkSettings.from_dict({"colour": 1})
