"""Training in stages, and training on from an earlier cross-validation."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from boneage import Data
from boneage.errors import BundleError, InputError, SettingsError, TrainingError
from boneage.inference.bundle import Bundle
from boneage.network.build import build_network
from boneage.network.efficientnet import EfficientNetLite
from boneage.radiographs.phantom import write_phantom_dataset
from boneage.radiographs.preparation import PreparationSettings
from boneage.training.crossval import CrossvalRun, crossval_run
from boneage.training.recipe import Recipe, read_recipe
from boneage.training.settings import TrainingSettings
from boneage.training.start import Start, check_same_folds, read_start

pytestmark = pytest.mark.usefixtures("threads_kept")

SETTINGS = TrainingSettings(
    size_px=32, epochs=1, batch_size=8, threads=1, precision="float32", device="cpu", keep="last",
    learning_rate=1e-3, patience=0,
).updated(
    architecture="efficientnet", stages=3, hidden=8, loss="distribution", flip=0.0
)  # fmt: skip

FIRST = SETTINGS.updated(size_px=48)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    place = tmp_path_factory.mktemp("data") / "phantoms"
    folder = write_phantom_dataset(place, 24, seed=5, height_px=80, workers=1)
    return Data(folder, preparation=PreparationSettings(size_px=32, reduce_to=1.875))


@pytest.fixture(scope="module")
def staged(data: Data, tmp_path_factory: pytest.TempPathFactory) -> CrossvalRun:
    """One of two folds, in two stages; the second keeps two blocks and has smaller images."""
    return crossval_run(
        data,
        SETTINGS.updated(frozen_blocks=2),
        tmp_path_factory.mktemp("runs") / "staged",
        folds=2,
        only=(1,),
        before=(FIRST,),
        workers=1,
        progress=False,
    )


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "bundle" / "weights.safetensors")


def test_each_stage_goes_on_from_the_one_before(staged: CrossvalRun) -> None:
    first, second = weights(staged.path / "stage-1" / "fold-1"), weights(staged.path / "fold-1")
    frozen = [
        name for name in first if name.startswith(("body.stem", "body.blocks.0", "body.blocks.1"))
    ]
    assert len(frozen) > 20
    for name in frozen:
        assert torch.equal(first[name], second[name]), name
    moved = [name for name in first if name.startswith("body.blocks.2")]
    assert all(not torch.equal(first[name], second[name]) for name in moved)


def test_the_config_names_the_stages(staged: CrossvalRun) -> None:
    config = json.loads((staged.path / "config.json").read_text())
    assert [stage["frozen_blocks"] for stage in config["before"]] == [0]
    assert config["settings"]["frozen_blocks"] == 2
    recipe = read_recipe(staged.path / "config.json")
    assert recipe.stages_before({}) == (FIRST,)


def test_a_fold_trains_on_from_its_own_network(
    staged: CrossvalRun, data: Data, tmp_path: Path
) -> None:
    on = crossval_run(
        data,
        SETTINGS.updated(frozen_blocks=3),
        tmp_path / "on",
        folds=2,
        only=(1,),
        start_from=staged.path,
        workers=1,
        progress=False,
    )
    assert on.finished == (1,)
    before, after = weights(staged.path / "fold-1"), weights(on.path / "fold-1")
    name = "body.blocks.2.project.0.weight"
    assert torch.equal(after[name], before[name])
    assert not torch.allclose(after["body.answer.weight"], before["body.answer.weight"], rtol=1e-2)


def test_a_stage_may_have_a_size_of_its_own(staged: CrossvalRun) -> None:
    sides = []
    for folder in (staged.path / "stage-1" / "fold-1", staged.path / "fold-1"):
        card = Bundle.open(folder / "bundle").card
        assert card.preparation is not None
        preparation = PreparationSettings.from_dict(dict(card.preparation))
        assert preparation.size_px == card.size_px
        assert preparation.short_side_px == 60
        sides.append(card.size_px)
    assert sides == [48, 32]


def test_stages_of_several_sizes_need_prepared_images(data: Data, tmp_path: Path) -> None:
    bare = Data(data.records[0].path.parent.parent, preparation=None)
    with pytest.raises(SettingsError, match="32 and 48 px"):
        crossval_run(
            bare,
            SETTINGS.updated(size_px=48),
            tmp_path / "bare",
            folds=2,
            before=(SETTINGS,),
            progress=False,
        )
    assert not (tmp_path / "bare").exists()
    assert bare.at_size(48) is bare


def test_networks_of_other_folds_are_refused(
    staged: CrossvalRun, data: Data, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="other folds"):
        crossval_run(
            data, SETTINGS.updated(seed=4), tmp_path / "on", folds=2, start_from=staged.path
        )
    assert not (tmp_path / "on").exists()
    fold_of = {record.id: 1 for record in data.records}
    with pytest.raises(InputError, match="Use the same data"):
        check_same_folds(staged.path, fold_of)


def test_what_cannot_be_started_from_is_named(staged: CrossvalRun, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="There is no model"):
        read_start(tmp_path / "nothing")
    with pytest.raises(BundleError, match="not a complete model bundle"):
        read_start(staged.path, 2)
    other = build_network(SETTINGS.updated(hidden=16).network, size_px=32)
    with pytest.raises(TrainingError, match="do not fit"):
        read_start(staged.path, 1).load_into(other)


def test_freezing_holds_weights_and_statistics() -> None:
    body = EfficientNetLite(stages=3, hidden=8, embedding=4, dropout=0.0)
    body.freeze(2)
    body.train()
    before = {name: value.clone() for name, value in body.state_dict().items()}
    body(torch.rand(4, 1, 32, 32), torch.ones(4)).sum().backward()
    assert body.stem[0].weight.grad is None
    assert body.blocks[2].project[0].weight.grad is not None
    after = body.state_dict()
    still = {name.split(".running")[0] for name in before if torch.equal(before[name], after[name])}
    assert "stem.1" in still
    assert "blocks.1.project.1" in still
    assert not torch.equal(
        before["blocks.2.project.1.running_mean"], after["blocks.2.project.1.running_mean"]
    )
    body.freeze(0)
    body.train()
    assert body.stem.training


def test_stages_of_a_recipe_differ_from_its_settings(tmp_path: Path) -> None:
    file = tmp_path / "recipe.json"
    file.write_text(
        json.dumps({"settings": {"epochs": 7, "seed": 3}, "before": [{"epochs": 2}, {"jpeg": 0.5}]})
    )
    first, second = read_recipe(file).stages_before({"epochs": 9, "batch_size": 5})
    assert (first.epochs, first.batch_size, first.seed) == (2, 5, 3)
    assert (second.epochs, second.augmentation.jpeg) == (7, 0.5)
    file.write_text(json.dumps({"before": [{"size_px": 64}, {"epochs": 2}]}))
    sizes = [stage.size_px for stage in read_recipe(file).stages_before({"size_px": 96})]
    assert sizes == [64, 96]
    assert Recipe().stages_before({}) == ()


@pytest.mark.parametrize(
    ("before", "named"),
    [({"epochs": 2}, "a list of JSON objects"), ([{"epochs": 0}], "--epochs"), ([{"x": 0}], "'x'")],
)
def test_stages_that_cannot_be_are_named(tmp_path: Path, before: object, named: str) -> None:
    file = tmp_path / "recipe.json"
    file.write_text(json.dumps({"before": before}))
    with pytest.raises(SettingsError, match=named):
        read_recipe(file)


def test_an_ensemble_may_have_fewer_networks_than_folds(data: Data, tmp_path: Path) -> None:
    settings = SETTINGS.updated(regions=[[0.0, 0.2, 0.8, 1.25]], members=(1,))
    run = crossval_run(data, settings, tmp_path / "run", folds=2, workers=1, progress=False)
    assert {name.split(".")[1] for name in weights(run.path)} == {"0"}
    assert run.combined is not None
    assert run.combined.out_of_fold.count == 24  # every fold's network has had its say
    with pytest.raises(InputError, match="no network for fold 2"):
        read_start(run.path / "bundle", 2)


def test_what_is_not_known_of_a_network_starts_from_what_is() -> None:
    settings = SETTINGS.updated(regions=[[0, 0, 1, 1], [0.0, 0.2, 0.8, 1.25]]).network
    some, network = (build_network(settings, size_px=32) for _ in range(2))
    Start(Path("some"), some.only([1]).state_dict(), "").load_into(network)
    learned, state = some.state_dict(), network.state_dict()
    for name in ("answer.weight", "stem.1.running_mean"):
        assert torch.equal(state[f"body.{name}"], learned[f"others.0.{name}"])
        assert torch.equal(state[f"others.0.{name}"], learned[f"others.0.{name}"])


@pytest.mark.parametrize("members", [(1,), (1, 0), (1, 2.5), (1, 2, 3)])
def test_members_are_a_number_a_region(members: tuple[int, ...]) -> None:
    with pytest.raises(SettingsError, match="for each of the 2 regions"):
        SETTINGS.updated(regions=[[0, 0, 1, 1], [0.0, 0.2, 0.8, 1.25]], members=members)


def test_one_region_has_to_learn() -> None:
    with pytest.raises(SettingsError, match="one has to learn"):
        SETTINGS.updated(frozen_regions=1)


def test_freezing_is_for_the_efficientnet() -> None:
    with pytest.raises(SettingsError, match="--frozen-blocks needs"):
        TrainingSettings(frozen_blocks=1)
    with pytest.raises(SettingsError, match="--frozen-blocks must be within"):
        SETTINGS.updated(frozen_blocks=17)
