"""What a cross-validation ends with: a refit, settings chosen in each fold, a test set."""

import csv
import json
import shutil
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from boneage import Data, Model
from boneage.errors import InputError, SettingsError, TrainingError
from boneage.inference.bundle import read_card
from boneage.network.ensemble import Ensemble
from boneage.radiographs.phantom import write_phantom_dataset
from boneage.radiographs.preparation import PreparationSettings
from boneage.training.crossval import CrossvalRun, crossval_run
from boneage.training.fit import fit
from boneage.training.folds import settings_of
from boneage.training.out_of_fold import load_network
from boneage.training.settings import TrainingSettings

pytestmark = pytest.mark.usefixtures("threads_kept")

COUNT, TEST_COUNT = 20, 6
SETTINGS = TrainingSettings(
    size_px=32, epochs=3, batch_size=4, threads=1, precision="float32", device="cpu", patience=0,
).updated(width=8, blocks=[1], flip=0.0)  # fmt: skip


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def errors_in(path: Path) -> list[float]:
    return [abs(float(r["true_months"]) - float(r["predicted_months"])) for r in rows_of(path)]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    """The four-part layout."""
    root = tmp_path_factory.mktemp("data")
    for name, count, seed in (("Training", COUNT, 3), ("Test", TEST_COUNT, 4)):
        part = write_phantom_dataset(root / name, count, seed=seed, height_px=80, workers=1)
        (part / "labels.csv").rename(root / f"{name.lower()}.csv")
    return Data(root, preparation=PreparationSettings(size_px=32))


@dataclass
class Narrowing:
    """Chooses a network of another width for every network, and remembers what it was shown."""

    shown: dict[str, set[str]] = field(default_factory=dict)

    def __call__(self, data: Data, settings: TrainingSettings, folder: Path) -> TrainingSettings:
        self.shown[folder.name] = {record.id for record in data.records}
        return settings.updated(width=8 + 8 * len(self.shown), seed=77, threads=2)


@dataclass
class Searched:
    run: CrossvalRun
    choose: Narrowing


@pytest.fixture(scope="module")
def searched(data: Data, tmp_path_factory: pytest.TempPathFactory) -> Searched:
    choose, out = Narrowing(), tmp_path_factory.mktemp("runs") / "searched"
    run = crossval_run(
        data, SETTINGS, out, folds=2, result="refit", choose=choose, test=True, workers=1,
        progress=False,
    )  # fmt: skip
    return Searched(run, choose)


def test_settings_are_chosen_once_a_fold_from_what_it_learns_from(
    searched: Searched, data: Data
) -> None:
    fold_of = {row["id"]: row["fold"] for row in rows_of(searched.run.path / "folds.csv")}
    everyone = {record.id for record in data.records}
    assert searched.choose.shown == {
        "fold-1": {name for name in everyone if fold_of[name] == "2"},
        "fold-2": {name for name in everyone if fold_of[name] == "1"},
        "refit": everyone,
    }
    widths = {
        name: settings_of(searched.run.path / name).network.width
        for name in ("fold-1", "fold-2", "refit")
    }
    assert widths == {"fold-1": 16, "fold-2": 24, "refit": 32}
    chosen = settings_of(searched.run.path / "fold-2")
    # Seeds tell the folds apart, and threads are the machine's: neither is anything to choose.
    assert (chosen.seed, chosen.threads) == (SETTINGS.seed + 2, 1)


def test_a_resumed_run_keeps_what_was_chosen(
    searched: Searched, data: Data, tmp_path: Path
) -> None:
    def choose(*_: Any) -> TrainingSettings:
        raise AssertionError("chosen again")

    path = shutil.copytree(searched.run.path, tmp_path / "run")
    before = (path / "predictions.csv").read_bytes()
    again = crossval_run(
        data, SETTINGS, path, folds=2, choose=choose, resume=True, workers=1, progress=False
    )
    assert (path / "predictions.csv").read_bytes() == before
    assert again.combined is not None
    assert json.loads((path / "metrics.json").read_text())["result"] == "ensemble"
    ensemble = Ensemble(
        [load_network(path / f"fold-{k}/bundle", settings_of(path / f"fold-{k}")) for k in (1, 2)],
        mirror=False,
    ).eval()
    assert torch_answers(ensemble, data) == pytest.approx(answers(again, data), abs=0.5)
    with pytest.raises(SettingsError, match="searched was True, now 'absent'"):
        crossval_run(data, SETTINGS, path, folds=2, resume=True)


def answers(run: CrossvalRun, data: Data) -> list[float]:
    assert run.combined is not None
    model = Model.load(run.combined.bundle)
    return [
        model.predict(record.path, record.sex).bone_age_months or 0.0 for record in data.records[:3]
    ]


def torch_answers(network: Ensemble, data: Data) -> list[float]:
    prepared = data.prepare(workers=1, progress=False)
    images = torch.from_numpy(prepared.images[:3])[:, None].float() / 255
    with torch.inference_mode():
        return network(images, torch.from_numpy(prepared.sexes[:3]))[0].clamp(min=0).tolist()  # type: ignore[no-any-return]


def test_the_refit_learns_from_all_for_as_long_as_the_folds_did(searched: Searched) -> None:
    path = searched.run.path
    best = [
        json.loads((path / f"fold-{fold}/metrics.json").read_text())["best_epoch"]
        for fold in (1, 2)
    ]
    settings = settings_of(path / "refit")
    assert (settings.keep, settings.epochs) == ("last", round(statistics.median(best)))
    rows = rows_of(path / "refit" / "metrics.csv")
    assert len(rows) == settings.epochs
    assert {row["validation_mae_months"] for row in rows} == {""}
    assert json.loads((path / "refit" / "metrics.json").read_text())["count"] == COUNT


def test_out_of_fold_figures_are_of_the_folds_and_the_card_says_so(searched: Searched) -> None:
    path = searched.run.path
    rows, errors = rows_of(path / "predictions.csv"), np.array(errors_in(path / "predictions.csv"))
    fold_of = {row["id"]: row["fold"] for row in rows_of(path / "folds.csv")}
    assert list(rows[0])[-1] == "fold"
    assert all(row["fold"] == fold_of[row["id"]] for row in rows)
    metrics = json.loads((path / "metrics.json").read_text())
    folds = np.array([row["fold"] for row in rows])
    maes = [errors[folds == fold].mean() for fold in "12"]
    assert metrics["mae_months_mean_of_folds"] == pytest.approx(np.mean(maes), abs=0.01)
    assert metrics["mae_months_sd_of_folds"] == pytest.approx(statistics.stdev(maes), abs=0.02)
    combined = searched.run.combined
    assert combined is not None
    assert f"{np.mean(maes):.1f}" in combined.summary()
    card = read_card(path / "bundle")
    assert card.trained_on["count"] == COUNT
    assert "no figures of it" in card.figures["out_of_fold"]["note"]
    assert card.interval is not None
    assert "by the networks of the folds" in card.interval.method
    # Of 21 ranks the 90 per cent take 18.9, hence the 19th.
    assert card.interval.half_width_months(None) == pytest.approx(sorted(errors)[18], abs=0.01)


def test_the_test_set_is_scored_by_the_finished_model(searched: Searched, data: Data) -> None:
    path = searched.run.path
    assert data.test is not None
    rows = rows_of(path / "test-predictions.csv")
    assert [row["id"] for row in rows] == [record.id for record in data.test.records]
    metrics = json.loads((path / "metrics.json").read_text())
    mae = float(np.mean(errors_in(path / "test-predictions.csv")))
    assert metrics["test"]["mae_months"] == pytest.approx(mae, abs=0.01)
    combined = searched.run.combined
    assert combined is not None
    assert combined.test is not None
    assert combined.test.count == TEST_COUNT
    refit = Ensemble(
        [load_network(path / "refit" / "bundle", settings_of(path / "refit"))], mirror=False
    ).eval()
    expected = torch_answers(refit, data.test)
    assert expected == pytest.approx([float(r["predicted_months"]) for r in rows[:3]], abs=0.5)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"result": "mean"}, "--result must be one of ensemble, refit, not 'mean'"),
        ({"result": "refit", "only": (1,)}, "--fold trains some of the folds"),
        ({"choose": Narrowing(), "before": (SETTINGS,)}, "--search chooses the shape"),
        ({"choose": Narrowing(), "start_from": Path("x")}, "leave out --start-from"),
    ],
)
def test_what_contradicts_itself_is_refused(
    data: Data, tmp_path: Path, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        crossval_run(data, SETTINGS, tmp_path / "run", folds=2, **options)
    assert not (tmp_path / "run").exists()


def test_what_is_not_there_is_named(data: Data, searched: Searched, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="--test: the data has no test set"):
        crossval_run(data.test or data, SETTINGS, tmp_path / "run", folds=2, test=True)
    with pytest.raises(InputError, match="holds no finished refit"):
        crossval_run(
            data, SETTINGS, tmp_path / "run", folds=2, result="refit",
            start_from=searched.run.path / "fold-1",
        )  # fmt: skip
    prepared = data.prepare(workers=1, progress=False)
    with pytest.raises(TrainingError, match='keep="last"'):
        fit(SETTINGS, prepared, None, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_choice_of_another_size_is_refused(data: Data, tmp_path: Path) -> None:
    def choose(_: Data, settings: TrainingSettings, __: Path) -> TrainingSettings:
        return settings.updated(size_px=64)

    with pytest.raises(SettingsError, match="chose --size 64"):
        crossval_run(data, SETTINGS, tmp_path / "run", folds=2, choose=choose)


def test_a_model_becomes_the_ensemble_of_its_folds(data: Data, tmp_path: Path) -> None:
    model = Model(SETTINGS, epochs=1)
    assert model.crossvalidate(data, tmp_path / "run", folds=2, workers=1) is model
    assert model.crossvalidation is not None
    assert model.crossvalidation.finished == (1, 2)
    assert model.metrics.count == COUNT
    assert data.test is not None
    metrics = model.evaluate(data.test)
    record = data.test.records[0]
    saved = Model.load(model.save(tmp_path / "model.zip"))
    predicted = model.predict(record.path, record.sex)
    assert saved.predict(record.path, record.sex) == predicted
    assert metrics.count == TEST_COUNT
    with pytest.raises(SettingsError, match="--folds must be within 2 to 50, not 1"):
        model.crossvalidate(data, tmp_path / "other", folds=1)
