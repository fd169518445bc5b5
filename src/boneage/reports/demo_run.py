"""The demo: synthetic radiographs, a small network, an evaluation, plots and a report."""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from boneage.dataset.data import Data
from boneage.errors import RunExistsError, SettingsError
from boneage.evaluation.metrics import Metrics
from boneage.files import make_folder, output_errors
from boneage.inference.predictor import load
from boneage.radiographs.phantom import write_phantom_dataset
from boneage.radiographs.preparation import PreparationSettings
from boneage.radiographs.readers import read_radiograph
from boneage.reports.demo_report import Example, write_demo_report
from boneage.reports.evaluation_run import evaluate_bundle
from boneage.reports.run_plots import draw_run_plots

__all__ = ["DEMO_NOTE", "Demo", "run_demo"]

DEMO_NOTE = "Synthetic radiographs"
_MARKER = "synthetic-radiographs.txt"
_FILM_PX = 256
_SIZE_PX = 128
_EXAMPLES = 8

# A network small enough for two cores and half a minute; real ones take the defaults.
_SETTINGS = {
    "size_px": _SIZE_PX,
    "batch_size": 32,
    "learning_rate": 2e-3,
    "patience": 0,
    "width": 16,
    "blocks": (1, 1, 1, 1),
    "rotation_deg": 10.0,
}


@dataclass(frozen=True, eq=False)
class Demo:
    """What the demo left.

    Attributes:
        folder: Everything.
        report: The page to open.
        metrics: Figures on synthetic radiographs that the network had not seen.
        seconds: Time that all of it took.
    """

    folder: Path
    report: Path
    metrics: Metrics
    seconds: float


def run_demo(
    out: Path,
    *,
    count: int = 1200,
    epochs: int = 15,
    seed: int = 0,
    overwrite: bool = False,
    tell: Callable[[str], None] = print,
) -> Demo:
    """Draw, train, evaluate, plot, report.

    Args:
        out: Folder to make.
        count: Synthetic radiographs to train on, a tenth of them for choosing the epoch, 100 to
            100,000. A quarter as many more are drawn for the evaluation.
        epochs: Passes over them.
        seed: Fixes everything.
        overwrite: Replace an earlier demo in ``out``.
        tell: Gets a line about each step.

    Returns:
        The report and the figures.

    Raises:
        SettingsError: ``count`` or ``epochs`` is out of range.
        RunExistsError: ``out`` is in use.
        OutputError: ``out`` cannot be written.
    """
    if not 100 <= count <= 100_000:
        raise SettingsError(f"--count must be within 100 to 100000, not {count}.")
    # Imported here because the rest of this floor works without PyTorch.
    from boneage.training.run import train_run
    from boneage.training.settings import TrainingSettings

    settings = TrainingSettings().updated(**_SETTINGS, epochs=epochs, seed=seed)
    start = time.perf_counter()
    _claim(out, overwrite)
    tell(f"1/4 Drawing {count} synthetic radiographs, and {count // 4} to test on")
    training = write_phantom_dataset(out / "phantoms", count, seed=seed, height_px=_FILM_PX)
    testing = write_phantom_dataset(
        out / "test-phantoms", count // 4, seed=seed + 1_000_003, height_px=_FILM_PX
    )
    preparation = PreparationSettings(size_px=_SIZE_PX)
    data = Data(training, preparation=preparation, cache=out / "cache")
    tell(f"2/4 Training: {data.summary()}")
    run = train_run(data, settings, out / "run", name="demo (synthetic radiographs)")
    tell("3/4 Evaluating on synthetic radiographs that the network has not seen")
    predictor = load(run.bundle)
    unseen = Data(testing, preparation=preparation)
    evaluated = evaluate_bundle(
        predictor,
        unseen.records,
        make_folder(out / "evaluation"),
        about={"data": DEMO_NOTE},
        plot_note=DEMO_NOTE,
    )
    tell("4/4 Drawing plots and the report")
    draw_run_plots(run.path, note=DEMO_NOTE)
    step = np.linspace(0, len(unseen) - 1, min(_EXAMPLES, len(unseen))).round().astype(int)
    by_age = sorted(unseen.records, key=lambda record: record.bone_age_months)
    examples = []
    for record in (by_age[index] for index in step):
        radiograph = read_radiograph(record.path)
        examples.append(
            Example(
                image=radiograph.pixels.astype(np.uint8),
                true_months=record.bone_age_months,
                predicted_months=predictor.predict(radiograph, sex=record.sex).bone_age_months,
                sex=record.sex,
            )
        )
    seconds = time.perf_counter() - start
    written = write_demo_report(run.path, examples=examples, seconds=seconds)
    # The page has everything in it, so it may lie where a reader looks first.
    report = out / written.name
    with output_errors(report):
        written.replace(report)
    return Demo(folder=out, report=report, metrics=evaluated.metrics, seconds=seconds)


def _claim(out: Path, overwrite: bool) -> None:
    """Make the folder, or empty that of an earlier demo; nothing else is ever removed."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        if not (out / _MARKER).is_file():
            raise RunExistsError(
                f"{out} is there already and holds no demo, so nothing in it is touched. Choose "
                "another --out."
            )
        if not overwrite:
            raise RunExistsError(
                f"{out} holds a demo already. Say --overwrite to replace it, or choose another "
                "--out."
            )
        with output_errors(out):
            shutil.rmtree(out)
    make_folder(out)
    with output_errors(out):
        (out / _MARKER).write_text(
            "Everything in this folder was made by 'boneage demo' from synthetic radiographs. "
            "It says nothing about children.\n",
            encoding="utf-8",
        )
