"""Cross-validation: every radiograph is answered by a network that did not learn from it."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from boneage import Data, load
from boneage.dataset.splits import read_folds
from boneage.errors import InputError, LabelsError, RunExistsError, SettingsError
from boneage.inference.bundle import Bundle, read_card
from boneage.network.ensemble import Ensemble
from boneage.radiographs.phantom import write_phantom_dataset
from boneage.radiographs.preparation import Preparation
from boneage.radiographs.radiograph import Sex
from boneage.radiographs.readers import read_radiograph
from boneage.training.crossval import CrossvalRun, crossval_run
from boneage.training.out_of_fold import load_network
from boneage.training.recipe import Recipe, read_recipe
from boneage.training.start import check_same_folds, read_start

pytestmark = pytest.mark.usefixtures("threads_kept")

COUNT, FOLDS = 48, 2
RECIPE = {
    "settings": {
        "size_px": 32, "epochs": 8, "batch_size": 4, "threads": 1, "precision": "float32",
        "device": "cpu", "keep": "last", "network": {"width": 8, "blocks": [1]},
    },
    "preparation": {"reduce_to": 2.0},
    "card": {"name": "phantoms", "licence": "CC0-1.0", "data": "phantoms"},
}  # fmt: skip
# Answers with an expected error; not mirrored, because exporting takes the time here.
EXPECTING = {
    **RECIPE["settings"], "epochs": 1, "batch_size": 8, "loss": "distribution",
    "network": {"architecture": "efficientnet", "stages": 3, "hidden": 8},
    "augmentation": {"flip": 0},
}  # fmt: skip


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("data") / "phantoms"
    return write_phantom_dataset(place, COUNT, seed=3, height_px=112, workers=1)


@pytest.fixture(scope="module")
def recipe_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "recipe.json"
    path.write_text(json.dumps(RECIPE))
    return path


@pytest.fixture(scope="module")
def recipe(recipe_file: Path) -> Recipe:
    return read_recipe(recipe_file)


@pytest.fixture(scope="module")
def data(folder: Path, recipe: Recipe) -> Data:
    return Data(folder, preparation=recipe.prepare_at(32))


@pytest.fixture(scope="module")
def whole(data: Data, recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> CrossvalRun:
    """A run that was never interrupted."""
    out = tmp_path_factory.mktemp("runs") / "folds"
    return crossval_run(
        data, recipe.settings, out, folds=FOLDS, card=dict(recipe.card), workers=1, progress=False
    )


def test_the_run_folder_holds_each_fold_and_what_they_give_together(whole: CrossvalRun) -> None:
    assert (whole.finished, whole.folds) == ((1, 2), FOLDS)
    assert whole.combined is not None
    assert whole.combined.held_out is None
    assert {entry.name for entry in whole.path.iterdir()} == {
        "config.json", "folds.csv", "splits", "fold-1", "fold-2", "predictions.csv",
        "metrics.json", "bundle",
    }  # fmt: skip
    for fold in (1, 2):
        assert (whole.path / f"fold-{fold}" / "bundle" / "model.onnx").is_file()
        figures = json.loads((whole.path / f"fold-{fold}" / "metrics.json").read_text())
        assert figures["best_epoch"] == 8
        assert "Nothing was chosen" in figures["note"]


def test_the_folds_are_disjoint_and_stratified(whole: CrossvalRun, data: Data) -> None:
    fold_of = {row["id"]: int(row["fold"]) for row in rows_of(whole.path / "folds.csv")}
    assert set(fold_of) == {record.id for record in data.records}
    by_sex_and_age = sorted(data.records, key=lambda r: (r.sex, r.bone_age_months, r.id))
    for first, second in zip(by_sex_and_age[::2], by_sex_and_age[1::2], strict=True):
        assert {fold_of[first.id], fold_of[second.id]} == {1, 2}
    for fold in (1, 2):
        parts = {row["id"]: row["part"] for row in rows_of(whole.path / f"fold-{fold}/data.csv")}
        for name, own in fold_of.items():
            assert parts[name] == ("validation" if own == fold else "train")
        validated = {row["id"] for row in rows_of(whole.path / f"fold-{fold}/predictions.csv")}
        assert validated == {name for name, own in fold_of.items() if own == fold}


def test_each_is_predicted_once_by_the_network_that_did_not_learn_from_it(
    whole: CrossvalRun, data: Data, recipe: Recipe
) -> None:
    rows = rows_of(whole.path / "predictions.csv")
    assert sorted(row["id"] for row in rows) == [record.id for record in data.records]
    fold_of = {row["id"]: row["fold"] for row in rows_of(whole.path / "folds.csv")}
    prepared = data.prepare(workers=1, progress=False)
    at = {name: row for row, name in enumerate(prepared.ids)}
    networks = {
        fold: Ensemble(
            [load_network(whole.path / f"fold-{fold}" / "bundle", recipe.settings)], mirror=True
        ).eval()
        for fold in ("1", "2")
    }
    for row in rows:
        place = at[row["id"]]
        image = torch.from_numpy(prepared.images[place])[None, None].float() / 255
        sex = torch.tensor([float(prepared.sexes[place])])
        with torch.inference_mode():
            own, other = (
                float(networks[fold](image, sex)[0])
                for fold in (fold_of[row["id"]], "12".replace(fold_of[row["id"]], ""))
            )
        assert float(row["predicted_months"]) == pytest.approx(max(own, 0), abs=0.06)
        assert float(row["true_months"]) == prepared.bone_ages_months[place]
        assert row["sex"] == ("male" if sex else "female")
        assert own != other


def test_the_figures_are_those_of_the_predictions(whole: CrossvalRun) -> None:
    rows = rows_of(whole.path / "predictions.csv")
    errors = np.array([abs(float(r["true_months"]) - float(r["predicted_months"])) for r in rows])
    fold_of = {row["id"]: int(row["fold"]) for row in rows_of(whole.path / "folds.csv")}
    folds = np.array([fold_of[row["id"]] for row in rows])
    metrics = json.loads((whole.path / "metrics.json").read_text())
    assert metrics["count"] == COUNT
    assert metrics["held_out"] is None
    assert metrics["mae_months"] == pytest.approx(errors.mean(), abs=0.01)
    assert metrics["mae_months_of_folds"] == pytest.approx(
        [errors[folds == fold].mean() for fold in (1, 2)], abs=0.01
    )
    card = read_card(whole.path / "bundle")
    assert card.interval is not None
    assert not card.interval.scaled
    # Of 49 ranks the 90 per cent take 44.1, hence the 45th.
    assert card.interval.half_width_months(None) == pytest.approx(np.sort(errors)[44], abs=0.01)
    assert metrics["interval_coverage"]["overall"] == pytest.approx(45 / 48)


def test_the_bundle_is_the_mean_of_the_folds_and_predicts(
    whole: CrossvalRun, data: Data, recipe: Recipe
) -> None:
    members = [load_network(whole.path / f"fold-{fold}" / "bundle", recipe.settings)
               for fold in (1, 2)]  # fmt: skip
    ensemble = Ensemble(members, mirror=True).eval()
    predictor = load(whole.path / "bundle", intake=False)
    preparation = Preparation(recipe.prepare_at(32))
    for record in data.records[:6]:
        found = predictor.predict(record.path, record.sex)
        image = torch.from_numpy(preparation(read_radiograph(record.path)).image)[None, None]
        with torch.inference_mode():
            (months,) = ensemble(image, torch.tensor([float(record.sex is Sex.MALE)]))
        assert found.bone_age_months == pytest.approx(max(float(months[0]), 0), abs=0.05)
        assert found.lower_months is not None
        assert found.upper_months is not None
        assert found.lower_months <= found.bone_age_months <= found.upper_months


def test_training_can_go_on_from_the_networks_in_the_ensemble(whole: CrossvalRun) -> None:
    bundle = whole.path / "bundle"
    for fold in (1, 2):
        own = read_start(whole.path, fold).tensors
        start = read_start(bundle, fold).tensors
        assert start.keys() == own.keys()
        for name, value in own.items():
            # Matrices are kept as float16.
            torch.testing.assert_close(start[name].float(), value.float(), rtol=1e-3, atol=1e-6)
    with pytest.raises(InputError, match="is an ensemble"):
        read_start(whole.path)
    with pytest.raises(InputError, match="no network for fold 7"):
        read_start(bundle, 7)
    folds = read_folds(whole.path / "folds.csv")
    check_same_folds(bundle, folds)
    with pytest.raises(InputError, match="other folds"):
        check_same_folds(bundle, {name: 3 - fold for name, fold in folds.items()})


def test_the_card_says_what_the_recipe_says(whole: CrossvalRun, recipe: Recipe) -> None:
    card = read_card(whole.path / "bundle")
    assert (card.name, card.licence) == ("phantoms", "CC0-1.0")
    assert card.sexes == ("female", "male")
    assert card.preparation == recipe.prepare_at(32).to_dict()
    assert card.trained_on["data"] == "phantoms"
    assert (card.trained_on["folds"], card.trained_on["count"]) == (FOLDS, COUNT)
    assert card.trained_on["settings"] == recipe.settings.to_dict()
    assert card.figures["out_of_fold"]["count"] == COUNT
    assert "held_out" not in card.figures


def test_a_run_is_gone_on_with_only_as_it_was_begun(
    whole: CrossvalRun, data: Data, recipe: Recipe, tmp_path: Path
) -> None:
    before = contents(whole.path)
    for changes, said in (({"epochs": 9}, "settings.epochs was 8, now 9"), ({"seed": 1}, "seed")):
        with pytest.raises(SettingsError, match=said):
            crossval_run(
                data, recipe.settings.updated(**changes), whole.path, folds=FOLDS, resume=True
            )
    with pytest.raises(SettingsError, match="folds was 2, now 3"):
        crossval_run(data, recipe.settings, whole.path, folds=3, resume=True)
    split = tmp_path / "split.csv"
    split.write_text("id,split\n" + "".join(f"{r.id},train\n" for r in data.records[1:]))
    with pytest.raises(SettingsError, match="data"):
        crossval_run(data, recipe.settings, whole.path, folds=2, split=split, resume=True)
    with pytest.raises(RunExistsError, match="--resume"):
        crossval_run(data, recipe.settings, whole.path, folds=FOLDS)
    assert contents(whole.path) == before


def test_folds_in_processes_of_their_own_and_one_killed_give_the_same_run(
    run_cli: Callable[..., Any],
    whole: CrossvalRun,
    folder: Path,
    recipe_file: Path,
    cache_folder: Path,
    tmp_path: Path,
) -> None:
    out = tmp_path / "folds"
    arguments = [
        "crossval", folder, "--config", recipe_file, "--out", out, "--folds", "2",
        "--workers", "1", "--resume", "--fold",
    ]  # fmt: skip
    first = run_cli(*arguments, "1", timeout=300)
    assert first.returncode == 0, first.stderr
    assert "1 of 2 folds are finished" in first.stdout
    assert not (out / "predictions.csv").exists()
    fold_1 = contents(out / "fold-1")

    source = str(Path(__file__).parents[2] / "src")
    rows = out / "fold-2" / "metrics.csv"
    with subprocess.Popen(
        [sys.executable, "-m", "boneage", *map(str, arguments), "2"],
        env={**os.environ, "PYTHONPATH": source, "BONEAGE_CACHE": str(cache_folder)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:
        deadline = time.monotonic() + 240
        while not (rows.exists() and len(rows.read_text().splitlines()) >= 3):
            assert process.poll() is None, process.communicate()[1].decode()
            assert time.monotonic() < deadline
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    assert len(rows.read_text().splitlines()) < 9
    assert not (out / "fold-2" / "metrics.json").exists()
    assert contents(out / "fold-1") == fold_1

    last = run_cli(*arguments, "2", timeout=300)
    assert last.returncode == 0, last.stderr
    assert "Out of fold" in last.stdout
    assert contents(out / "fold-1") == fold_1
    for name in ("folds.csv", "predictions.csv", "fold-1/predictions.csv", "fold-2/data.csv"):
        assert (out / name).read_bytes() == (whole.path / name).read_bytes()
    assert {plot.name for plot in (out / "plots").iterdir()} >= {"predicted_against_true.png"}
    ours, theirs = (
        Bundle.open(path / "fold-2" / "bundle").read_weights() for path in (out, whole.path)
    )
    assert ours == theirs


@pytest.fixture(scope="module")
def parts(data: Data) -> dict[str, str]:
    """Twenty girls train, four girls validate, boys test; two boys are in no part."""
    girls = [record.id for record in data.records if record.sex is Sex.FEMALE]
    boys = [record.id for record in data.records if record.sex is Sex.MALE]
    return {
        **dict.fromkeys(girls[:20], "train"),
        **dict.fromkeys(girls[20:], "val"),
        **dict.fromkeys(boys[2:], "test"),
    }


def test_nobody_held_out_is_learned_from_and_all_are_measured_once(
    data: Data, recipe: Recipe, parts: dict[str, str], tmp_path: Path
) -> None:
    split, out = tmp_path / "split.csv", tmp_path / "folds"
    split.write_text("id,split\n" + "".join(f"{name},{part}\n" for name, part in parts.items()))
    settings = recipe.settings.updated(**EXPECTING)
    run = crossval_run(data, settings, out, folds=2, split=split, workers=1, progress=False)
    training = {name for name, part in parts.items() if part == "train"}
    held_out = set(parts) - training

    predicted, apart = rows_of(out / "predictions.csv"), rows_of(out / "held-out.csv")
    assert sorted(row["id"] for row in predicted) == sorted(training)
    assert sorted(row["id"] for row in apart) == sorted(held_out)
    for fold in (1, 2):
        assert {row["id"] for row in rows_of(out / f"fold-{fold}/data.csv")} == training

    assert run.combined is not None
    assert run.combined.out_of_fold.count == len(training)
    assert run.combined.held_out is not None
    assert run.combined.held_out.count == len(held_out)
    errors = [abs(float(r["true_months"]) - float(r["predicted_months"])) for r in apart]
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["held_out"]["mae_months"] == pytest.approx(np.mean(errors), abs=0.01)
    card = read_card(out / "bundle")
    assert card.figures["held_out"]["count"] == len(held_out)
    assert card.trained_on["count"] == len(training)
    assert card.sexes == ("female",)  # the boys were only held out

    # The network expects an error of each, and the interval is scaled by it.
    shares = [
        abs(float(r["true_months"]) - float(r["predicted_months"]))
        / float(r["expected_error_months"])
        for r in predicted
    ]
    assert card.interval is not None
    assert card.interval.scaled
    # Of 21 ranks the 90 per cent take 18.9, hence the 19th.
    assert card.interval.half_width_months(1.0) == pytest.approx(sorted(shares)[18], rel=0.01)
    inside = [
        error <= card.interval.half_width_months(float(row["expected_error_months"]))
        for error, row in zip(errors, apart, strict=True)
    ]
    found = metrics["held_out"]["interval_coverage"]["overall"]
    assert found == pytest.approx(np.mean(inside), abs=1.5 / len(inside))

    girl = next(record for record in data.records if parts.get(record.id) == "val")
    answer = load(out / "bundle", level=0.6, intake=False).predict(girl.path, "female")
    row = next(row for row in apart if row["id"] == girl.id)
    # Prepared images are kept in 256 steps while training, hence not exactly the same.
    assert answer.bone_age_months == pytest.approx(float(row["predicted_months"]), abs=0.5)
    assert answer.level == 0.6


def test_a_split_that_leaves_nobody_to_train_on_is_an_error(
    data: Data, recipe: Recipe, tmp_path: Path
) -> None:
    split = tmp_path / "split.csv"
    split.write_text("id,split\n" + "".join(f"{r.id},test\n" for r in data.records))
    with pytest.raises(LabelsError, match="nobody to train on"):
        crossval_run(data, recipe.settings, tmp_path / "folds", split=split)
    assert not (tmp_path / "folds").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"folds": 1}, "--folds must be within 2 to 50, not 1"),
        ({"folds": 51}, "--folds must be within 2 to 50"),
        ({"folds": 49}, "number of folds"),
        ({"folds": 3, "only": (4,)}, "--fold must be within 1 to 3, not 4"),
        ({"folds": 3, "only": (1, 0)}, "--fold must be within 1 to 3, not 0"),
    ],
)
def test_folds_that_cannot_be_are_refused(
    data: Data, recipe: Recipe, tmp_path: Path, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        crossval_run(data, recipe.settings, tmp_path / "folds", **options)
    assert not (tmp_path / "folds").exists()
