from pathlib import Path

import numpy as np
import pytest

from boneage.errors import InputError
from boneage.radiographs.radiograph import Sex
from boneage.reports.run_files import read_learning_curve, read_population, read_predictions

HEADER = "epoch,train_loss,train_mae_months,validation_mae_months,learning_rate,seconds\n"


def test_a_learning_curve_with_a_resumed_epoch(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text(HEADER + "0,3,30,31,1e-3,5\n1,2,20,,1e-3,5\n1,2,19,18,1e-3,6\n")
    curve = read_learning_curve(path)
    assert curve is not None
    assert curve.epoch.tolist() == [0, 1]
    assert curve.validation_mae_months.tolist() == [31, 18]
    assert curve.seconds.tolist() == [5, 6]


def test_a_half_written_last_line_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text(HEADER + "0,3,30,31,1e-3,5\n1,2,2")
    curve = read_learning_curve(path)
    assert curve is not None
    assert curve.epoch.tolist() == [0]
    path.write_text(HEADER + "0,3,30,31,1e-3,5\n1,2,2\n")
    with pytest.raises(InputError, match="line 3"):
        read_learning_curve(path)


def test_an_unmeasured_value_is_nan(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text(HEADER + "0,inf,,31,1e-3,5\n")
    curve = read_learning_curve(path)
    assert curve is not None
    assert np.isnan([curve.train_loss[0], curve.train_mae_months[0]]).all()


def test_predictions_with_further_columns_and_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "predictions.csv"
    path.write_text(
        "\ufeffid,fold,sex,true_months,predicted_months\n007,1,F,10,12.5\n\n8,2,male,20,19\n"
    )
    predictions = read_predictions(path)
    assert predictions is not None
    assert predictions.ids == ("007", "8")
    assert predictions.sexes == (Sex.FEMALE, Sex.MALE)
    assert predictions.predicted_months.tolist() == [12.5, 19]
    assert predictions.of(Sex.MALE).tolist() == [False, True]


def test_population_and_absent_files(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    assert read_population(path) is None
    path.write_text("id,sex,bone_age_months,part\n1,m,10,train\n")
    population = read_population(path)
    assert population is not None
    assert population.parts == ("train",)
