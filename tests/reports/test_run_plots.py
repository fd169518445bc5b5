import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

import boneage
from boneage.errors import InputError, NoInputError, OutputError
from boneage.reports.run_plots import draw_run_plots

METRICS_HEADER = "epoch,train_loss,train_mae_months,validation_mae_months,learning_rate,seconds\n"
ALL = ["learning_curves", "predicted_against_true", "error_distribution", "bland_altman",
       "population"]  # fmt: skip

MakeRun = Callable[..., Path]


def names(paths: list[Path]) -> list[str]:
    return [path.stem for path in paths]


def png_size(path: Path) -> tuple[int, int]:
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", content[16:24])
    return width, height


def test_all_plots_of_a_finished_run(finished_run: Path) -> None:
    paths = sorted((finished_run / "plots").iterdir())
    assert [path.name for path in paths] == sorted(f"{name}.png" for name in ALL)
    for path in paths:
        width, _ = png_size(path)
        assert width >= 89 / 25.4 * 300 - 1  # a column at 300 dots per inch, or wider
        picture = imread(path)[..., :3]
        assert (picture == 1).all(axis=2).mean() > 0.5, "a light background"
        assert (picture < 0.5).any(), "something drawn"


def test_the_same_run_gives_the_same_plots(make_run: MakeRun) -> None:
    run = make_run()
    (run / "data.csv").unlink()
    (run / "metrics.csv").unlink()
    first = [path.read_bytes() for path in draw_run_plots(run)]
    assert [path.read_bytes() for path in draw_run_plots(run)] == first


def test_a_note_is_written_on_every_plot_and_only_below(
    make_run: MakeRun, finished_run: Path
) -> None:
    paths = draw_run_plots(make_run(), note="Another note")
    assert names(paths) == ALL
    for path in paths:
        noted, other = imread(finished_run / "plots" / path.name), imread(path)
        rows = np.flatnonzero((noted != other).any(axis=(1, 2)))
        height = noted.shape[0]
        assert len(rows) > 0
        assert rows.min() > 0.9 * height


def test_a_stopped_run_has_its_learning_curves_only(make_run: MakeRun) -> None:
    run = make_run()
    for name in ("predictions.csv", "data.csv"):
        (run / name).unlink()
    with (run / "metrics.csv").open("a") as file:
        file.write("5,0.8,")  # killed while writing
    assert names(draw_run_plots(run)) == ["learning_curves"]


def test_missing_and_empty_tables_cost_their_own_plots(make_run: MakeRun) -> None:
    run = make_run()
    (run / "metrics.csv").write_text("")
    (run / "data.csv").write_text("id,sex,bone_age_months,part\n")
    assert names(draw_run_plots(run)) == [
        "predicted_against_true", "error_distribution", "bland_altman",
    ]  # fmt: skip
    (run / "predictions.csv").unlink()
    assert draw_run_plots(run) == []


def test_one_case_and_one_epoch(make_run: MakeRun) -> None:
    run = make_run(count=1, epochs=1)
    assert names(draw_run_plots(run)) == [name for name in ALL if name != "bland_altman"]


def test_values_that_were_not_measured_are_left_out(tmp_path: Path) -> None:
    for rows in ("0,,,,,\n1,nan,,40.5,1e-3,\n", "0,,,,,\n"):
        (tmp_path / "metrics.csv").write_text(METRICS_HEADER + rows)
        assert names(draw_run_plots(tmp_path)) == ["learning_curves"]


@pytest.mark.parametrize(
    "rows",
    [
        "1,f,100,1e7\n2,m,100,-3e6\n",  # a network gone astray
        "1,f,50,50\n2,f,50,50\n3,f,50,50\n",  # one sex, no spread at all
        "1,m,0,0\n2,m,0,0.5\n",
    ],
)
def test_odd_predictions_are_drawn(tmp_path: Path, rows: str) -> None:
    (tmp_path / "predictions.csv").write_text("id,sex,true_months,predicted_months\n" + rows)
    assert names(draw_run_plots(tmp_path)) == ALL[1:4]


def test_thousands_of_cases_and_other_parts(make_run: MakeRun) -> None:
    run = make_run(count=2100)
    with (run / "data.csv").open("a") as file:
        file.writelines(f"x{i},male,{i},fold {i % 4}\n" for i in range(1, 100))
    assert names(draw_run_plots(run)) == ALL


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("predictions.csv", b"id,sex,true_months\n1,f,10\n", "predicted_months is missing"),
        ("predictions.csv", b"id,sex,true_months,predicted_months\n1,f,10,old\n", "'old'"),
        ("predictions.csv", b"id,sex,true_months,predicted_months\n1,f,10,nan\n", "finite"),
        ("predictions.csv", b"id,sex,true_months,predicted_months\n1,f,10,\n", "not a number"),
        ("predictions.csv", b"id,sex,true_months,predicted_months\n1,?,10,11\n", "not a sex"),
        ("predictions.csv", b"id,sex,true_months,predicted_months\n1,f,10\n", "3 cells"),
        ("predictions.csv", b"\x89PNG\r\n\x1a\n\xff\xfe", "damaged"),
        ("data.csv", b"id,sex,bone_age_months,part\n1,f,10,\n", "part is empty"),
        ("metrics.csv", METRICS_HEADER.encode() + b"0,1,2,3,4\n1,1,2,3,4,5\n", "line 2"),
        ("metrics.csv", METRICS_HEADER.encode() + b",1,2,3,4,5\n", "epoch"),
    ],
)
def test_damage_is_named_before_anything_is_drawn(
    make_run: MakeRun, name: str, content: bytes, words: str
) -> None:
    run = make_run()
    (run / name).write_bytes(content)
    with pytest.raises(InputError, match=words) as caught:
        draw_run_plots(run)
    assert name in str(caught.value)
    assert not (run / "plots").exists()


def test_a_folder_in_place_of_a_table(make_run: MakeRun) -> None:
    run = make_run()
    (run / "data.csv").unlink()
    (run / "data.csv").mkdir()
    with pytest.raises(InputError, match="Cannot read"):
        draw_run_plots(run)


def test_no_such_run(tmp_path: Path) -> None:
    with pytest.raises(NoInputError, match="not a folder"):
        draw_run_plots(tmp_path / "none")


def test_plots_that_cannot_be_written(make_run: MakeRun) -> None:
    run = make_run()
    (run / "plots").write_text("in the way")
    with pytest.raises(OutputError, match="plots"):
        draw_run_plots(run)


def test_no_global_state_is_left_behind(make_run: MakeRun) -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    run = make_run()
    (run / "predictions.csv").unlink()
    draw_run_plots(run)
    assert dict(matplotlib.rcParams) == before


def test_reports_import_without_matplotlib_and_say_what_is_missing(make_run: MakeRun) -> None:
    program = (
        "import sys, importlib.util\n"
        "import boneage.reports.run_plots as plots, boneage.reports.demo_report\n"
        "assert 'matplotlib' not in sys.modules and 'torch' not in sys.modules\n"
        "assert 'cv2' not in sys.modules\n"
        "real = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name: None if name == 'matplotlib' else real(name)\n"
        "from boneage.errors import MissingExtraError\n"
        "try: plots.draw_run_plots(sys.argv[1])\n"
        "except MissingExtraError as error: print(error)\n"
    )
    source = Path(boneage.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", program, str(make_run())],
        capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": str(source)},
    )  # fmt: skip
    assert "pip install 'boneage[train]'" in done.stdout
