"""Several networks as one, and what becomes of them as an ONNX graph."""

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from maps import Brightness, middle
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor

from boneage.errors import TrainingError
from boneage.network.build import BoneAgeNetwork, build_network
from boneage.network.efficientnet import AGE_BINS_MONTHS, EfficientNetLite
from boneage.network.ensemble import Ensemble
from boneage.network.pretrained import load_imagenet
from boneage.network.regions import Region
from boneage.network.settings import NetworkSettings
from boneage.network.views import zoomed
from boneage.training.export import AGREEMENT_MONTHS, store_as_float16, to_onnx

SIZE_PX = 64
CLOSE = {"rtol": 1e-5, "atol": 1e-3}


def member(seed: int, architecture: str = "efficientnet", **changes: object) -> BoneAgeNetwork:
    """A network; an EfficientNet tells images apart, as if it were trained."""
    torch.manual_seed(seed)
    settings = dataclasses.replace(
        NetworkSettings(architecture=architecture, width=8, blocks=(0, 1), stages=3, hidden=32),
        **changes,  # type: ignore[arg-type]
    )
    network = build_network(settings, size_px=SIZE_PX, mean_months=120, sd_months=40).eval()
    for body, region in network.parts():
        if isinstance(body, EfficientNetLite):
            load_imagenet(body)
            _fit_head(body, region)
    return network


@torch.no_grad()
def _fit_head(body: EfficientNetLite, region: Region) -> None:
    """Let the head say, of the brightness of an image, what a trained one says of an age.

    A trained head gives a normal distribution about an age that is linear in the features. Its
    logits are then linear in them, too, and this one is found by ridge regression.
    """
    images, sexes = region.of(some_images(64, seed=1)), some_sexes(64)
    features = body.places(images, sexes).mean(dim=(2, 3))
    brightness = images.mean(dim=(1, 2, 3))
    wanted = 120 + 40 * (brightness - brightness.mean()) / brightness.std()
    features = torch.cat([features, torch.ones(64, 1)], dim=1)
    gram = features.T @ features + torch.eye(features.shape[1])
    *weights, shift = torch.linalg.solve(gram, features.T @ wanted)
    ages, spread = torch.tensor(AGE_BINS_MONTHS), 12.0
    direction = torch.stack(weights)
    body.answer.weight[:-1] = ages[:, None] * direction / spread**2
    body.answer.bias[:-1] = (ages * shift - ages**2 / 2) / spread**2
    body.answer.weight[-1] = direction / 80
    body.answer.bias[-1] = -3.0


def some_images(count: int, seed: int = 0) -> Tensor:
    """Blobs of all sizes and places on black."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:SIZE_PX, 0:SIZE_PX] / SIZE_PX
    images = [
        np.clip(rng.uniform(0.3, 1.5) * np.exp(-((x - a) ** 2 + (y - b) ** 2) / s), 0, 1)
        + rng.uniform(0, 0.1, x.shape)
        for a, b, s in rng.uniform((0.1, 0.1, 0.01), (0.9, 0.9, 0.3), (count, 3))
    ]
    return torch.from_numpy(np.stack(images)).float()[:, None].clamp(0, 1)


def some_sexes(count: int) -> Tensor:
    return (torch.arange(count) % 2).float()


IMAGES, SEXES = some_images(12), some_sexes(12)


def months_and_errors(networks: list[BoneAgeNetwork], images: Tensor) -> tuple[Tensor, Tensor]:
    answers = [network.answer(images, SEXES) for network in networks]
    errors = [a.expected_error_months for a in answers if a.expected_error_months is not None]
    return torch.stack([a.months for a in answers]).mean(0), torch.stack(errors).mean(0)


@torch.inference_mode()
def test_the_answer_is_the_mean_of_the_members() -> None:
    members = [member(seed) for seed in (1, 2, 3)]
    months, errors, _ = Ensemble(members, mirror=False)(IMAGES, SEXES)
    wanted_months, wanted_errors = months_and_errors(members, IMAGES)
    torch.testing.assert_close(months, wanted_months, **CLOSE)
    torch.testing.assert_close(errors, wanted_errors, **CLOSE)
    alone = torch.stack([network(IMAGES, SEXES) for network in members])
    assert alone.std(dim=0).min() > 0.1  # they do not agree anyway


@torch.inference_mode()
def test_the_mirror_asks_about_both_sides() -> None:
    members = [member(seed) for seed in (1, 2)]
    mirrored = torch.flip(IMAGES, dims=(3,))
    months, errors, _ = Ensemble(members, mirror=True)(IMAGES, SEXES)
    for wanted, *parts in zip(
        (months, errors),
        months_and_errors(members, IMAGES),
        months_and_errors(members, mirrored),
        strict=True,
    ):
        torch.testing.assert_close(wanted, (parts[0] + parts[1]) / 2, **CLOSE)


@torch.inference_mode()
def test_every_zoom_is_asked_about() -> None:
    members = [member(seed) for seed in (1, 2)]
    zooms = (1.0, 1.25)
    months, errors, _ = Ensemble(members, mirror=False, zooms=zooms)(IMAGES, SEXES)
    for wanted, *parts in zip(
        (months, errors),
        *(months_and_errors(members, zoomed(IMAGES, zoom)) for zoom in zooms),
        strict=True,
    ):
        torch.testing.assert_close(wanted, (parts[0] + parts[1]) / 2, **CLOSE)
    views = Ensemble(members, mirror=True, zooms=zooms)
    mirrored = torch.flip(IMAGES, dims=(3,))
    torch.testing.assert_close(views(mirrored, SEXES)[0], views(IMAGES, SEXES)[0], **CLOSE)


@torch.inference_mode()
def test_the_mirror_can_be_asked_about_at_every_second_zoom() -> None:
    members = [member(seed) for seed in (1, 2)]
    views = Ensemble(members, mirror=True, zooms=(1.0, 1.25), mirror_each=False)
    months = views(IMAGES, SEXES)[0]
    large = torch.flip(zoomed(IMAGES, 1.25), dims=(3,))
    parts = [months_and_errors(members, image)[0] for image in (IMAGES, large)]
    torch.testing.assert_close(months, (parts[0] + parts[1]) / 2, **CLOSE)


@torch.inference_mode()
def test_the_heat_map_adds_up_to_what_the_places_of_all_views_add() -> None:
    members = [member(seed) for seed in (1, 2)]
    both = Ensemble(members, mirror=True, zooms=(1.0, 1.25))
    heat = both(IMAGES, SEXES)[2]
    sums = [
        network.explained(view.of(IMAGES), SEXES)[1].sum(dim=(1, 2))
        for network in members
        for view in both.views
    ]
    assert len(sums) == 8
    torch.testing.assert_close(heat.sum(dim=(1, 2)), torch.stack(sums).mean(0), **CLOSE)
    months, empty = (both(images, SEXES)[0] for images in (IMAGES, torch.zeros_like(IMAGES)))
    torch.testing.assert_close(heat.sum(dim=(1, 2)), months - empty, rtol=0.02, atol=0.2)


@torch.inference_mode()
def test_the_heat_map_of_a_mirror_image_is_the_mirror_image_of_the_heat_map() -> None:
    mirrored = torch.flip(IMAGES, dims=(3,))
    differences = []
    for mirror in (True, False):
        network = Ensemble([member(1)], mirror=mirror, zooms=(1.0, 1.25))
        heat, other = network(IMAGES, SEXES)[2], network(mirrored, SEXES)[2]
        differences.append(float((torch.flip(heat, dims=(2,)) - other).abs().max()))
    assert differences[0] < 1e-4 < 1e-2 < differences[1]


@pytest.mark.parametrize("views", [{"mirror": False}, {"mirror": True, "mirror_each": False}])
@torch.inference_mode()
def test_what_is_bright_is_hot_in_the_same_place(views: dict[str, bool]) -> None:
    body = Brightness(stages=3, hidden=4)
    body.answer.weight[:-1] = torch.tensor(AGE_BINS_MONTHS)[:, None] / 10
    network = Ensemble(
        [BoneAgeNetwork(body, mean_months=120, sd_months=40)], zooms=(1.0, 1.125), **views
    )
    for row, column in ((12, 20), (44, 12), (44, 52)):
        image = torch.zeros(1, 1, 64, 64)
        image[:, :, row - 3 : row + 3, column - 3 : column + 3] = 1
        heat = network.eval()(image, torch.zeros(1))[2][0]
        assert heat.sum() > 1
        assert middle(heat) == pytest.approx((column / 64, row / 64), abs=2 / 64)


def test_a_zoom_enlarges_about_the_middle() -> None:
    image = torch.zeros(1, 1, 64, 64)
    image[:, :, 24:40, 28:36] = 1  # 16 rows and 8 columns about the middle
    large = zoomed(image, 1.5)
    assert large.shape == image.shape
    assert (large[0, 0] > 0.5).sum() == pytest.approx(24 * 12, rel=0.1)
    rows = (large[0, 0] > 0.5).any(dim=1).nonzero()[:, 0].float()
    assert rows.mean() == pytest.approx(31.5, abs=0.6)
    assert zoomed(image, 1.0) is image


@pytest.mark.parametrize("architecture", ["efficientnet", "residual", "hypermodel"])
@torch.inference_mode()
def test_with_the_mirror_the_side_does_not_matter(architecture: str) -> None:
    members = [member(seed, architecture) for seed in (1, 2)]
    mirrored = torch.flip(IMAGES, dims=(3,))
    both, one = Ensemble(members, mirror=True), Ensemble(members, mirror=False)
    with_mirror, without = (
        (network(IMAGES, SEXES)[0] - network(mirrored, SEXES)[0]).abs().max()
        for network in (both, one)
    )
    assert with_mirror < 1e-3
    assert without > 20 * with_mirror


@torch.inference_mode()
def test_an_error_is_expected_only_where_every_member_expects_one() -> None:
    expecting, other = member(1), member(2, "residual")
    assert Ensemble([expecting], mirror=True).expects_error
    mixed = Ensemble([expecting, other], mirror=False)
    assert not mixed.expects_error
    assert not mixed.gives_heat_map
    (months,) = mixed(IMAGES, SEXES)
    wanted = (expecting(IMAGES, SEXES) + other(IMAGES, SEXES)) / 2
    torch.testing.assert_close(months, wanted, **CLOSE)


def test_the_weights_of_every_member_belong_to_the_ensemble() -> None:
    members = [member(seed) for seed in (1, 2)]
    names = Ensemble(members, mirror=True).state_dict()
    assert len(names) == sum(len(network.state_dict()) for network in members)
    assert not Ensemble(members, mirror=True).eval().members[0].training


@pytest.fixture(scope="module")
def ensemble() -> Ensemble:
    regions = ((0, 0, 1, 1), (0.2, 0.3, 0.6, 1.25))
    members = [member(1, hidden=256, regions=regions)]  # exporting more takes long
    return Ensemble(members, mirror=True, zooms=(1.0, 1.125))


@pytest.fixture(scope="module")
def graph(ensemble: Ensemble) -> bytes:
    return to_onnx(ensemble, SIZE_PX)


def run(graph: bytes, images: Tensor, sexes: Tensor) -> dict[str, NDArray[np.float32]]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph, options)
    names = [output.name for output in session.get_outputs()]
    values = session.run(names, {"image": images.numpy(), "sex": sexes.numpy()})
    return dict(zip(names, values, strict=True))


@pytest.mark.parametrize("count", [1, 2, 12])
def test_the_export_agrees_with_torch_in_every_output(
    ensemble: Ensemble, graph: bytes, count: int
) -> None:
    images, sexes = IMAGES[:count], SEXES[:count]
    with torch.inference_mode():
        months, errors, heat = ensemble(images, sexes)
    exported = run(graph, images, sexes)
    assert set(exported) == {"bone_age_months", "expected_error_months", "heat_map"}
    for name, wanted in (
        ("bone_age_months", months),
        ("expected_error_months", errors),
        ("heat_map", heat),
    ):
        assert exported[name].shape == wanted.shape
        assert len(wanted) == count
        assert exported[name].dtype == np.float32
        assert np.abs(exported[name] - wanted.numpy()).max() < AGREEMENT_MONTHS
    if count == 12:  # the images are told apart, so agreeing means something
        assert months.std() > 5
        assert errors.std() > 0.5
        assert heat.std(dim=0).max() > 2 * AGREEMENT_MONTHS


def test_a_network_that_expects_no_error_has_one_output() -> None:
    network = member(1, "residual")
    exported = run(to_onnx(network, SIZE_PX), IMAGES, SEXES)
    assert set(exported) == {"bone_age_months"}
    with torch.inference_mode():
        wanted = network(IMAGES, SEXES).numpy()
    assert np.abs(exported["bone_age_months"] - wanted).max() < AGREEMENT_MONTHS


def test_float16_halves_the_weights_and_hardly_moves_an_answer(graph: bytes) -> None:
    small = store_as_float16(graph)

    def bytes_of_weights(content: bytes) -> int:
        weights = onnx.load_model_from_string(content).graph.initializer
        return sum(numpy_helper.to_array(weight).nbytes for weight in weights)

    assert bytes_of_weights(small) == pytest.approx(bytes_of_weights(graph) / 2, rel=0.1)
    assert len(small) < 0.65 * len(graph)
    before, after = run(graph, IMAGES, SEXES), run(small, IMAGES, SEXES)
    # Two networks trained on the RSNA radiographs moved by 0.04 months, and by 0.25 at most.
    moved = np.abs(before["bone_age_months"] - after["bone_age_months"])
    assert 0 < moved.mean() < 0.1
    assert moved.max() < 0.4
    assert np.abs(before["expected_error_months"] - after["expected_error_months"]).max() < 0.1


def test_float16_is_computed_in_float32(graph: bytes, tmp_path: Path) -> None:
    path = tmp_path / "small.onnx"
    path.write_bytes(store_as_float16(graph))
    model = onnx.load(str(path))
    half = onnx.TensorProto.FLOAT16
    stored = {weight.name for weight in model.graph.initializer if weight.data_type == half}
    used = {name for node in model.graph.node for name in node.input if name in stored}
    assert stored
    assert used == stored
    assert all(
        node.op_type == "Cast" and node.attribute[0].i == onnx.TensorProto.FLOAT
        for node in model.graph.node
        if set(node.input) & stored
    )


def test_a_weight_beyond_float16_is_refused() -> None:
    network = member(1, "residual")
    with torch.no_grad():
        next(weights for weights in network.parameters() if weights.numel() > 1000)[0] = 1e6
    with pytest.raises(TrainingError, match="too large for float16"):
        store_as_float16(to_onnx(network, SIZE_PX))
