"""The ``boneage`` command: its verbs, and what becomes of their errors.

A verb reads its options, calls what does the work, and shows the result. Imports stand inside the
verbs so that ``boneage --help`` does not wait for OpenCV or ONNX Runtime.

To add a verb, write a function with ``@app.command()``. Errors that boneage raises on purpose need
no care: they become one line on standard error and the exit code that belongs to them. Verbs with
many options stand in a module of their own and are registered here.
"""

from pathlib import Path
from typing import Annotated

import typer

from boneage import __version__
from boneage.apps.crossval_verb import crossval
from boneage.apps.exits import Verbs
from boneage.apps.explain_verb import explain
from boneage.apps.listen_verb import listen
from boneage.apps.predict_verb import predict
from boneage.apps.report_verb import report
from boneage.apps.search_verb import search
from boneage.apps.serve_verb import serve
from boneage.apps.several_values import SeveralValues
from boneage.apps.training_verbs import demo, train

__all__ = ["app", "main"]


app = typer.Typer(
    cls=Verbs,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


_DATA = typer.Argument(
    metavar="DATA",
    help="A folder with one images folder and one label table, or with Training/, Test/, "
    "training.csv and test.csv.",
)
_IMAGES = typer.Option(metavar="DIR", help="The images folder, if DATA leaves a choice.")
_LABELS = typer.Option(
    metavar="CSV",
    help="The label table, if DATA leaves a choice. Columns: id, boneage (months) and male "
    "(True/False) or sex (F/M).",
)
_MODEL = typer.Option(
    metavar="BUNDLE",
    help="Model: a bundle folder or zip. Without it the one in $BONEAGE_MODEL, else the one that "
    "comes with boneage.",
)
_CACHE = typer.Option(
    metavar="DIR", help="Folder for prepared images. Default: $BONEAGE_CACHE, else the user's."
)
_WORKERS = typer.Option(
    metavar="N", help="Processes that prepare images, 1 or more. Default: one for each core."
)


def main() -> None:
    """Run the command line of this process and exit."""
    app(prog_name="boneage")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"boneage {__version__}")
        raise typer.Exit


@app.callback(
    epilog="Start with: boneage predict hand.png --sex female. Each verb explains itself: "
    "boneage predict --help"
)
def _boneage(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Bone age in months from radiographs of children's hands.

    Research software: not a medical device.
    """


app.command(epilog="Example: boneage predict hand.png scans/ --labels sexes.csv --out ages.csv")(
    predict
)
app.command(epilog="Example: boneage explain hand.png --sex female --out heat-maps/")(explain)
app.command(epilog="Example: boneage listen --port 11112 --send-to pacs.example.org:104:ARCHIVE")(
    listen
)
app.command(epilog="Example: boneage serve --port 8000")(serve)


@app.command(epilog="Example: boneage prepare rsna/ --out look-at-these/ --size 256")
def prepare(
    data: Annotated[Path, _DATA],
    images: Annotated[Path | None, _IMAGES] = None,
    labels: Annotated[Path | None, _LABELS] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Write the prepared images as PNG files and discarded.csv here, for looking at. "
            "The folder must be new or empty.",
        ),
    ] = None,
    size: Annotated[
        int, typer.Option(metavar="PX", help="Side of the prepared images in pixels, 16 to 4096.")
    ] = 256,
    cache: Annotated[Path | None, _CACHE] = None,
    workers: Annotated[int | None, _WORKERS] = None,
) -> None:
    """Prepare the radiographs of a data folder for training, and keep them in the cache.

    Each radiograph is normalised, cropped to the hand, made square and resized. Training does this
    by itself; the verb is for doing it beforehand, and for looking at the result.
    """
    from boneage.apps.screen import note
    from boneage.dataset.cache import cache_folder
    from boneage.dataset.data import Data
    from boneage.radiographs.preparation import PreparationSettings
    from boneage.reports.prepared_images import claim_image_folder, write_prepared_images

    settings = PreparationSettings(size_px=size)
    found = Data(data, images=images, labels=labels, preparation=settings, cache=cache)
    folder = None if out is None else claim_image_folder(out)
    note(found.summary())
    for name, part in {"": found, "test": found.test}.items():
        if part is None:
            continue
        prepared = part.prepare(workers=workers)
        print(f"{name + ': ' if name else ''}{prepared.summary()}")
        print(f"Cached in {cache_folder(cache)}")
        if folder is not None:
            print(f"Images written to {write_prepared_images(prepared, folder / name)}")


@app.command(
    epilog="Example: boneage evaluate rsna/ --model runs/first/bundle --out evaluation/ "
    "--split rsna/split.csv --part validation"
)
def evaluate(
    data: Annotated[Path, _DATA],
    out: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            help="Where to write metrics.json, predictions.csv, discarded.csv, config.json and "
            "plots/.",
        ),
    ],
    model: Annotated[Path | None, _MODEL] = None,
    images: Annotated[Path | None, _IMAGES] = None,
    labels: Annotated[Path | None, _LABELS] = None,
    split: Annotated[
        Path | None,
        typer.Option(metavar="CSV", help="Table id,split that says who is in which part."),
    ] = None,
    part: Annotated[
        str | None,
        typer.Option(
            metavar="train|validation|test",
            help="Part to evaluate: of --split (by default validation), or of a folder with "
            "Training and Test (by default test). Without either, everything is evaluated.",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an earlier evaluation in --out.")
    ] = False,
) -> None:
    """Measure how far a model's bone ages lie from the readers'.

    Predicts every labelled radiograph and writes the mean absolute error with its confidence
    interval and other figures, over all, by sex and by age band. Images that cannot be predicted
    are listed in discarded.csv.
    """
    from boneage.apps.screen import note, with_progress
    from boneage.dataset.data import Data
    from boneage.dataset.records import describe_discards
    from boneage.inference.predictor import load
    from boneage.reports.evaluation_run import choose_part, claim_folder, evaluate_bundle

    found = Data(data, images=images, labels=labels)
    chosen, name = choose_part(found, split, part)
    predictor = load(model)
    folder = claim_folder(out, overwrite=overwrite)
    note(f"Evaluating {name}: {len(chosen):,} radiographs")
    done = evaluate_bundle(
        predictor,
        chosen.records,
        folder,
        discarded=chosen.discarded,
        about={"data": str(data), "part": name, "split": str(split) if split else None},
        watch=lambda outcomes, count: with_progress(outcomes, count, "Predicting"),
    )
    for text in done.notes:
        note(f"note: {text}")
    print(done.metrics.summary())
    print(describe_discards(done.discarded))
    print(f"Written to {folder}")


app.command(epilog="Example: boneage train rsna/ --out runs/first --split rsna/split.csv")(train)
app.command(
    cls=SeveralValues,
    epilog="Example: boneage crossval rsna/ --config recipes/shipped.json --out runs/folds",
)(crossval)
app.command(
    cls=SeveralValues,
    epilog="Example: boneage search rsna/ --out runs/search --conv-layers 3 4 5 --fraction 0.25",
)(search)
app.command(epilog="Example: boneage report runs/first --data rsna/")(report)
app.command(epilog="Example: boneage demo --out demo/")(demo)


@app.command(epilog="Example: boneage info --json")
def info(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show versions, devices, the models at hand, installed extras and the cache folder."""
    import json

    from boneage.apps.information import information, information_lines

    print(json.dumps(information(), indent=2) if as_json else "\n".join(information_lines()))
