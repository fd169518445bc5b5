"""``boneage predict``: a row for each radiograph, whatever becomes of it."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from boneage.apps.dicom_output import DeidentifyOption, DicomOut, dicom_output, facts_by_id
from boneage.apps.exits import EXIT_SOME_NOT_OK
from boneage.apps.prediction_inputs import (
    Inputs,
    Intake,
    LabelTableOption,
    ModelOption,
    SexOption,
    read_given,
)
from boneage.errors import SettingsError

if TYPE_CHECKING:
    from boneage.apps.bulk_predict import BulkOptions
    from boneage.inference.rows import Row

__all__ = ["predict"]


def predict(
    inputs: Inputs,
    labels: LabelTableOption = None,
    sex: SexOption = None,
    model: ModelOption = None,
    level: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Level of the interval, 0.5 to 0.99 with the model that comes with boneage [0.9].",
        ),
    ] = None,
    intake: Intake = True,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.csv|FILE.json|DIR",
            help="Where to write the rows. Without it they go to standard output: as a table on a "
            "terminal, as CSV in a pipe. A folder takes them in parts (--engine ray).",
        ),
    ] = None,
    engine: Annotated[
        str,
        typer.Option(
            metavar="local|ray",
            help="Predict in this process, or, for archives, in processes of Ray on this machine "
            "or a cluster: --out is filled part by part, and the same command goes on where a run "
            "was stopped.",
        ),
    ] = "local",
    workers: Annotated[
        int | None,
        typer.Option(metavar="N", help="With --engine ray: processes, a core each [all cores]."),
    ] = None,
    part_size: Annotated[
        int | None,
        typer.Option(metavar="N", help="With --engine ray: inputs in a part, 1 to 1000000 [1000]."),
    ] = None,
    ray_address: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="With --engine ray: a running cluster, as auto or host:6379. Without it, one is "
            "started on this machine for the run.",
        ),
    ] = None,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="With --engine ray: throw away the parts of an earlier run in --out.",
        ),
    ] = False,
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
    dicom_out: DicomOut = None,
    deidentify: DeidentifyOption = False,
) -> None:
    """Estimate the bone age on radiographs.

    Gives one row for each input, failures included: path, id, status (ok, refused or failed), sex,
    bone_age_months, lower_months, upper_months, message. Exit code: 0 if every input is ok, 1 if
    some were refused or failed, 2 if the command line is wrong or there is no input.
    """
    from boneage.apps.screen import note, with_progress
    from boneage.inference.predictor import load
    from boneage.inference.rows import check_table_path
    from boneage.inference.run import predict_files

    bulk = _bulk_options(engine, out, workers, part_size, ray_address, overwrite)
    if out is not None and (bulk is None or bulk.is_table):
        check_table_path(out, labels)
    results = dicom_output(dicom_out, deidentify)
    files, known, table = read_given(inputs, labels, sex)
    request = None
    if any(value is not None for value in (report, age_months, height_cm, norm)):
        from boneage.reports.child_request import report_request

        request = report_request(
            report,
            files,
            labels=table,
            out=out,
            age_months=age_months,
            height_cm=height_cm,
            norm=norm,
        )
    if bulk is not None:
        if request is not None:
            raise SettingsError("--report is for one child: leave --engine ray out.")
        if results is not None:
            raise SettingsError("--engine ray writes no DICOM results: leave --dicom-out out.")
        from boneage.apps.bulk_predict import predict_in_bulk

        all_ok = predict_in_bulk(
            files, bulk, model=model, sex=known, labels=table, level=level, intake=intake
        )
    else:
        predictor = load(model, level=level, intake=intake)
        outcomes = predict_files(predictor, files, sex=known, labels=table)
        outcomes = with_progress(outcomes, len(files), "Predicting")
        if results is not None:
            facts = facts_by_id(files, table, request)
            outcomes = results.written(outcomes, predictor, facts, request)
        if request is not None:
            from boneage.reports.child_report import write_child_report

            done = list(outcomes)
            rows, answers = [row for row, _ in done], [answer for _, answer in done]
            write_child_report(
                request, rows, predictor.card, level=predictor.level, answers=answers
            )
            note(f"Report written to {request.path}")
            outcomes = iter(done)
        all_ok = _show((row for row, _ in outcomes), out)
    if not all_ok:
        raise typer.Exit(EXIT_SOME_NOT_OK)


def _bulk_options(
    engine: str,
    out: Path | None,
    workers: int | None,
    part_size: int | None,
    ray_address: str | None,
    overwrite: bool,
) -> "BulkOptions | None":
    """What ``--engine ray`` is to do, or None for ``--engine local``."""
    if engine == "ray":
        from boneage.apps.bulk_predict import DEFAULT_PART_SIZE, BulkOptions
        from boneage.inference.ray_session import ClusterSettings

        if out is None:
            raise SettingsError("--engine ray needs --out: a folder, a .csv or a .json.")
        return BulkOptions(
            out,
            ClusterSettings(workers, ray_address),
            DEFAULT_PART_SIZE if part_size is None else part_size,
            overwrite,
        )
    if engine != "local":
        raise SettingsError(f"--engine must be local or ray, not {engine!r}.")
    needs_ray = {
        "--workers": workers is not None,
        "--part-size": part_size is not None,
        "--ray-address": ray_address is not None,
        "--overwrite": overwrite,
    }
    given = [name for name, is_given in needs_ray.items() if is_given]
    if given:
        raise SettingsError(f"Only --engine ray takes {' and '.join(given)}: say that as well.")
    return None


def _show(rows: "Iterable[Row]", out: Path | None) -> bool:
    """Write the rows to ``out`` or to standard output; whether all of them are ok."""
    from boneage.apps.screen import counted, note, show_rows, standard_output
    from boneage.inference.rows import csv_rows, open_table

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
    return set(statuses) == {"ok"}
