"""A model that a cross-validation ends with may pull its answers to the standards of readers."""

import csv
import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from bright_squares import SETTINGS as SMALL
from hypothesis import given
from hypothesis import strategies as st

from boneage import Data
from boneage.dataset.prepared import PreparedData
from boneage.errors import SettingsError
from boneage.evaluation.standards import LARGEST_MONTHS
from boneage.inference.bundle import Bundle
from boneage.network.build import build_network
from boneage.network.ensemble import Ensemble
from boneage.network.settings import NetworkSettings
from boneage.network.standards import Standards
from boneage.radiographs.phantom import write_phantom_dataset
from boneage.radiographs.preparation import PreparationSettings
from boneage.training.crossval import crossval_run
from boneage.training.export import store_as_float16, to_onnx
from boneage.training.out_of_fold import Answers, pulled_to_standards
from boneage.training.settings import TrainingSettings

pytestmark = pytest.mark.usefixtures("threads_kept")

# Answers close together, so that there are enough about one age to learn from.
SETTINGS = TrainingSettings(epochs=1, learning_rate=1e-6, keep="last").updated(
    **{name: value for name, value in SMALL.items() if name != "epochs"}, flip=0.0
)


def some_pulls(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 5, (2, LARGEST_MONTHS + 1)).astype(np.float32)


def pulled(answers: np.ndarray, sexes: np.ndarray, pulls: np.ndarray) -> np.ndarray:
    """What pulling is: the pulls of the sex, interpolated between whole months."""
    female, male = (np.interp(answers, np.arange(LARGEST_MONTHS + 1), row) for row in pulls)
    return answers + np.where(sexes == 1, male, female)


@given(st.lists(st.floats(-50, 400, width=32), min_size=1, max_size=50), st.integers(0, 99))
def test_pulls_are_interpolated_between_whole_months(months: list[float], seed: int) -> None:
    answers, sexes = np.array(months, np.float32), np.arange(len(months)) % 2
    pulls = some_pulls(seed)
    moved = Standards(torch.from_numpy(pulls))(
        torch.from_numpy(answers), torch.from_numpy(sexes).float()
    )
    np.testing.assert_allclose(moved.numpy(), pulled(answers, sexes, pulls), atol=2e-3)


def test_the_graph_pulls_and_says_what_it_was_before() -> None:
    torch.manual_seed(1)
    network = build_network(NetworkSettings(width=8, blocks=(1,)), size_px=32, mean_months=120)
    pulls = some_pulls(7)
    images = np.random.default_rng(2).random((6, 1, 32, 32), dtype=np.float32)
    sexes = np.array([0, 1, 0, 1, 0, 1], np.float32)
    feed = {"image": images, "sex": sexes}
    plain = onnxruntime.InferenceSession(to_onnx(Ensemble([network], mirror=False), 32))
    before = plain.run(None, feed)[0]
    ensemble = Ensemble([network], mirror=False, standards=Standards(torch.from_numpy(pulls)))
    session = onnxruntime.InferenceSession(store_as_float16(to_onnx(ensemble, 32)))
    months, unpulled = session.run(["bone_age_months", "unpulled_months"], feed)
    np.testing.assert_allclose(unpulled, before, atol=0.05)
    np.testing.assert_allclose(months, pulled(unpulled, sexes, pulls), atol=0.01)
    assert np.abs(months - before).max() > 1
    assert set(ensemble.state_dict()) == set(Ensemble([network], mirror=False).state_dict())


def test_a_fold_learns_nothing_from_its_own_readings() -> None:
    rng = np.random.default_rng(5)
    ages = rng.uniform(60, 180, 1000).astype(np.float32)
    readings = np.round(ages / 12) * 12
    answers = ages + rng.normal(0, 2, 1000).astype(np.float32)
    folds = np.arange(1000) % 4

    def out_of_fold() -> np.ndarray:
        data = PreparedData(
            images=np.zeros((1000, 1, 1), np.uint8),
            ids=tuple(map(str, range(1000))),
            sexes=(np.arange(1000) // 4 % 2).astype(np.float32),
            bone_ages_months=readings,
        )
        return pulled_to_standards(Answers(data, answers, None), folds)[1].predicted_months

    before = out_of_fold()
    assert np.abs(before - readings).mean() < np.abs(answers - readings).mean()
    readings[folds == 2] += 6
    after = out_of_fold()
    assert (after[folds == 2] == before[folds == 2]).all()
    assert (after != before)[folds != 2].mean() > 0.5


def test_a_cross_validation_learns_them_out_of_fold(tmp_path: Path) -> None:
    folder = write_phantom_dataset(tmp_path / "data", 160, seed=5, height_px=64, workers=1)
    data = Data(folder, preparation=PreparationSettings(size_px=32, reduce_to=1.5))
    settings = SETTINGS.updated(standards=True)
    run = crossval_run(data, settings, tmp_path / "run", folds=2, workers=1, progress=False)
    figures = json.loads((run.path / "metrics.json").read_text())
    before = figures["before_standards"]["mae_months"]
    assert figures["mae_months"] < before - 0.5  # the ages of phantoms are not spread evenly
    with (run.path / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    errors = [abs(float(row["predicted_months"]) - float(row["true_months"])) for row in rows]
    assert np.mean(errors) == pytest.approx(figures["mae_months"], abs=0.01)
    bundle = Bundle.open(run.path / "bundle")
    assert bundle.card.trained_on["settings"]["standards"] is True
    names = {value.name for value in onnxruntime.InferenceSession(bundle.onnx_bytes).get_outputs()}
    assert "unpulled_months" in names


def test_it_is_on_or_off() -> None:
    with pytest.raises(SettingsError, match="standards is on or off"):
        SETTINGS.updated(standards=1)
