"""``boneage report``: one page about a run."""

from pathlib import Path
from typing import Annotated

import typer

from boneage.errors import SettingsError

__all__ = ["report"]


def report(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN",
            help="What train, crossval or evaluate wrote: a folder with metrics.json.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.html", help="Where to write the page. Default: report.html in RUN."
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DATA",
            help="The radiographs that the run was measured on: heat maps of its five smallest and "
            "five largest errors are drawn, if its model gives any.",
        ),
    ] = None,
    images: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The images folder, if DATA leaves a choice.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(metavar="CSV", help="The label table, if DATA leaves a choice.")
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(metavar="BUNDLE", help="Model for the heat maps. Default: bundle in RUN."),
    ] = None,
) -> None:
    """Write a page about a run: figures, plots, heat maps, the model and all settings.

    It is one file that needs nothing else: no network, no script.
    """
    from boneage.apps.screen import note
    from boneage.reports.run_report import draw_run_heat_maps, write_run_report
    from boneage.reports.run_sections import read_metrics

    if out is not None and out.suffix.lower() not in (".html", ".htm"):
        raise SettingsError(f"--out {out}: the name must end in .html.")
    given = {"--images": images, "--labels": labels, "--model": model}
    for option, value in given.items():
        if value is not None and data is None:
            raise SettingsError(f"{option} is for the heat maps: add --data DATA.")
    read_metrics(run)  # before any work
    if data is not None:
        from boneage.dataset.data import Data
        from boneage.inference.predictor import load

        found = Data(data, images=images, labels=labels)
        records = [*found.records, *(() if found.test is None else found.test.records)]
        predictor = load(run / "bundle" if model is None else model)
        drawn, reason = draw_run_heat_maps(run, predictor, records)
        if drawn is None:
            note(f"note: no heat maps: {reason}")
    print(f"Written to {write_run_report(run, out)}")
