import csv
import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from boneage import Data, Model, load
from boneage.errors import InputError, RunExistsError, SettingsError, TrainingError
from boneage.inference.bundle import Bundle
from boneage.network.build import build_network
from boneage.radiographs.phantom import write_phantom_dataset
from boneage.radiographs.preparation import PreparationSettings
from boneage.training.export import AGREEMENT_MONTHS, predict_with_torch, to_onnx
from boneage.training.settings import TrainingSettings

SIZE_PX = 64
SMALL = {
    "size_px": SIZE_PX, "epochs": 2, "batch_size": 16, "width": 8, "blocks": (1, 1),
    "threads": 1, "device": "cpu", "precision": "float32",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_phantom_dataset(tmp_path_factory.mktemp("data") / "phantoms", 60, seed=1)


@pytest.fixture(scope="module")
def data(folder: Path) -> Data:
    return Data(folder, preparation=PreparationSettings(size_px=SIZE_PX))


@pytest.fixture(scope="module")
def trained(data: Data, tmp_path_factory: pytest.TempPathFactory) -> Model:
    run = tmp_path_factory.mktemp("runs") / "run"
    return Model(**SMALL, validation_fraction=0.4).train(data, out=run)


def test_a_run_folder_holds_what_the_contract_says(trained: Model, data: Data) -> None:
    assert trained.run is not None
    run = trained.run.path
    present = {entry.name for entry in run.iterdir()}
    assert present >= {
        "config.json", "metrics.csv", "metrics.json", "predictions.csv", "discarded.csv",
        "data.csv", "bundle", "checkpoints", "tensorboard",
    }  # fmt: skip
    metrics = json.loads((run / "metrics.json").read_text())
    assert set(metrics) >= {
        "mae_months", "mae_ci95_months", "rmse_months", "r2", "within_12_months", "by_sex",
        "by_age_band",
    }  # fmt: skip
    with (run / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    labels = {record.id: record for record in data.records}
    errors = [abs(float(r["true_months"]) - float(r["predicted_months"])) for r in rows]
    assert np.mean(errors) == pytest.approx(metrics["mae_months"], abs=0.01)
    assert all(float(r["true_months"]) == labels[r["id"]].bone_age_months for r in rows)
    assert all(r["sex"] == labels[r["id"]].sex for r in rows)
    with (run / "data.csv").open(newline="") as file:
        parts = {row["id"]: row["part"] for row in csv.DictReader(file)}
    assert {r["id"] for r in rows} == {name for name, part in parts.items() if part == "validation"}
    assert len(parts) == len(data)


def test_the_bundle_predicts_what_the_run_wrote_down(trained: Model, data: Data) -> None:
    assert trained.run is not None
    with (trained.run.path / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    paths = {record.id: record.path for record in data.records}
    predictor = load(trained.bundle)
    for row in rows[:5]:
        prediction = predictor.predict(paths[row["id"]], sex=row["sex"])
        # The training keeps prepared images in 256 steps, hence not exactly the same.
        assert prediction.bone_age_months == pytest.approx(float(row["predicted_months"]), abs=0.5)
        assert prediction.lower_months is not None
        assert prediction.lower_months <= prediction.bone_age_months <= prediction.upper_months


@pytest.mark.parametrize("architecture", ["residual", "hypermodel"])
def test_the_export_agrees_with_torch_on_a_hundred_images(architecture: str) -> None:
    settings = TrainingSettings().updated(architecture=architecture)
    network = build_network(settings.network, size_px=96, mean_months=127, sd_months=41)
    rng = np.random.default_rng(0)
    images = rng.random((100, 96, 96), dtype=np.float32)
    sexes = rng.integers(0, 2, 100).astype(np.float32)
    session = onnxruntime.InferenceSession(to_onnx(network, 96))
    exported = session.run(None, {"image": images[:, None], "sex": sexes})[0]
    difference = np.abs(exported - predict_with_torch(network, images, sexes))
    assert difference.max() < AGREEMENT_MONTHS


def test_the_interval_is_the_conformal_quantile_of_the_validation_errors(trained: Model) -> None:
    assert trained.run is not None
    card = Bundle.open(trained.run.bundle).card
    with (trained.run.path / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    errors = [abs(float(r["true_months"]) - float(r["predicted_months"])) for r in rows]
    assert card.interval is not None
    half = card.interval.half_width_months(None)
    assert np.mean([error <= half + 0.02 for error in errors]) >= card.interval.level
    assert half <= max(errors) + 0.02


def test_a_run_is_never_overwritten_unless_asked(trained: Model, data: Data) -> None:
    assert trained.run is not None
    run = trained.run.path
    before = (run / "metrics.json").read_bytes()
    settings = {**SMALL, "validation_fraction": 0.4}
    with pytest.raises(RunExistsError, match="--resume"):
        Model(**settings).train(data, out=run)
    with pytest.raises(InputError, match="contradict"):
        Model(**settings).train(data, out=run, resume=True, overwrite=True)
    with pytest.raises(SettingsError, match=r"settings\.seed was 0, now 1"):
        Model(**settings, seed=1).train(data, out=run, resume=True)
    assert (run / "metrics.json").read_bytes() == before


def test_a_finished_run_that_is_resumed_keeps_its_figures(trained: Model, data: Data) -> None:
    assert trained.run is not None
    before = (trained.run.path / "predictions.csv").read_bytes()
    again = Model(**SMALL, validation_fraction=0.4).train(data, out=trained.run.path, resume=True)
    assert (trained.run.path / "predictions.csv").read_bytes() == before
    assert again.metrics.mae_months == trained.metrics.mae_months


def test_a_folder_that_is_no_run_is_not_touched(data: Data, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(RunExistsError, match="not a run"):
        Model(**SMALL).train(data, out=tmp_path, overwrite=True)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_overwrite_starts_anew(data: Data, tmp_path: Path) -> None:
    run = tmp_path / "run"
    Model(**SMALL).train(data, out=run)
    Model(**{**SMALL, "epochs": 1}).train(data, out=run, overwrite=True)
    assert len((run / "metrics.csv").read_text().splitlines()) == 2


def test_sizes_of_data_and_network_must_agree(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="--size 64"):
        Model(**SMALL).train(Data(folder), out=tmp_path / "run")


def test_a_saved_model_is_the_model(trained: Model, data: Data, tmp_path: Path) -> None:
    path, sex = data.records[0].path, data.records[0].sex
    for name in ("bundle", "bundle.zip"):
        saved = trained.save(tmp_path / name)
        loaded = Model.load(saved)
        assert loaded.settings == trained.settings
        assert loaded.predict(path, sex) == trained.predict(path, sex)
    assert loaded.evaluate(data).count == len(data)


def test_an_untrained_model_says_so(data: Data) -> None:
    with pytest.raises(TrainingError, match="not trained"):
        Model().predict(data.records[0].path, "female")
    with pytest.raises(TrainingError, match="train"):
        _ = Model().metrics


def test_evaluation_wants_the_preparation_of_the_training(trained: Model, folder: Path) -> None:
    with pytest.raises(SettingsError, match="PreparationSettings"):
        trained.evaluate(Data(folder, preparation=PreparationSettings(size_px=32)))
