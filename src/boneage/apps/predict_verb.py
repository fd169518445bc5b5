"""``boneage predict``: a row for each radiograph, whatever becomes of it."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from boneage.errors import NoInputError

__all__ = ["predict"]

_EXIT_SOME_NOT_OK = 1


def predict(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT",
            help="Radiographs: files, folders (searched with their subfolders) and globs.",
        ),
    ],
    labels: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV",
            help="Table that gives the sex by id, the file name without its suffix. Columns: id "
            "and male (True/False) or sex (F/M).",
        ),
    ] = None,
    sex: Annotated[
        str | None,
        typer.Option(
            metavar="female|male",
            help="Sex of every child. Goes before --labels; where the two disagree the row says "
            "so. The sex is never assumed.",
        ),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            metavar="BUNDLE",
            help="Model: a bundle folder or zip. Without it the one in $BONEAGE_MODEL, else the "
            "one that comes with boneage.",
        ),
    ] = None,
    level: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Level of the interval, 0.5 to 0.99 with the model that comes with boneage [0.9].",
        ),
    ] = None,
    intake: Annotated[
        bool,
        typer.Option(
            "--intake/--no-intake",
            help="Refuse what is not one hand and turn hands upright first (default), or take "
            "every image for an upright hand.",
        ),
    ] = True,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.csv|FILE.json",
            help="Where to write the rows. Without it they go to standard output: as a table on a "
            "terminal, as CSV in a pipe.",
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.html",
            help="Also write a page on one child: one radiograph, or several with --labels that "
            "has the columns child and age_months.",
        ),
    ] = None,
    age_months: Annotated[
        float | None,
        typer.Option(metavar="MONTHS", help="Chronological age for --report, 0 to 300."),
    ] = None,
    height_cm: Annotated[
        float | None,
        typer.Option(metavar="CM", help="Height for --report, 40 to 230; gives an adult height."),
    ] = None,
    norm: Annotated[
        str | None,
        typer.Option(
            metavar="brush|stanford", help="Whose spread counts as normal in --report [brush]."
        ),
    ] = None,
) -> None:
    """Estimate the bone age on radiographs.

    Gives one row for each input, failures included: path, id, status (ok, refused or failed), sex,
    bone_age_months, lower_months, upper_months, message. Exit code: 0 if every input is ok, 1 if
    some were refused or failed, 2 if the command line is wrong or there is no input.
    """
    from boneage.apps.screen import counted, note, show_rows, standard_output, with_progress
    from boneage.dataset.labels import read_labels
    from boneage.dataset.records import describe_discards
    from boneage.inference.inputs import find_inputs
    from boneage.inference.predictor import load
    from boneage.inference.rows import check_table_path, csv_rows, open_table
    from boneage.inference.run import predict_rows
    from boneage.radiographs.radiograph import Sex
    from boneage.reports.child_report import write_child_report
    from boneage.reports.child_request import report_request

    known = None if sex is None else Sex.parse(sex)
    table = None if labels is None else read_labels(labels, need_bone_age=False)
    if table is not None and table.discarded:
        note(f"note: {labels}: {describe_discards(table.discarded)}")
    if out is not None:
        check_table_path(out, labels)
    found = find_inputs(inputs)
    for text in found.notes:
        note(f"note: {text}")
    if not found.files:
        raise NoInputError("There is no radiograph among the inputs.")
    request = report_request(
        report,
        found.files,
        labels=table,
        out=out,
        age_months=age_months,
        height_cm=height_cm,
        norm=norm,
    )
    predictor = load(model, level=level, intake=intake)
    rows = predict_rows(predictor, found.files, sex=known, labels=table)
    rows = with_progress(rows, len(found.files), "Predicting")
    if request is not None:
        done = list(rows)
        write_child_report(request, done, predictor.card, level=predictor.level)
        note(f"Report written to {request.path}")
        rows = iter(done)
    statuses: list[str] = []
    if out is not None:
        with open_table(out) as write:
            for row in rows:
                write(row)
                statuses.append(row.status)
        note(f"{counted(statuses)}. Written to {out}")
    elif sys.stdout.isatty():
        shown = list(rows)
        statuses = [row.status for row in shown]
        show_rows(shown)
    else:
        with standard_output() as stream:
            write = csv_rows(stream)
            for row in rows:
                write(row)
                statuses.append(row.status)
    if set(statuses) != {"ok"}:
        raise typer.Exit(_EXIT_SOME_NOT_OK)
