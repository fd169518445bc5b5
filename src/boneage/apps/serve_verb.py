"""``boneage serve``: the web app and the HTTP API."""

import os
from pathlib import Path
from typing import Annotated

import typer

from boneage.apps.prediction_inputs import ModelOption
from boneage.errors import require_extra

__all__ = ["serve"]


def serve(
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="Address to listen on. Default: this machine only; another needs a token.",
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(metavar="N", help="TCP port to listen on; 0 takes a free one.")
    ] = 8000,
    workers: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Processes that predict, 1 to 64. Default: one for each core."
        ),
    ] = None,
    model: ModelOption = None,
    level: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE", help="Level of the intervals, such as 0.8. Default: the model's."
        ),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="File with the token that everybody must show. Default: $BONEAGE_TOKEN, else "
            "none is asked for.",
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Name that the server is called by, beside its address; once for each.",
        ),
    ] = None,
    keep: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Keep what is uploaded, with its row, here. Default: keep nothing."
        ),
    ] = None,
    max_mb: Annotated[
        int, typer.Option(metavar="MB", help="Largest file that is taken, 1 to 2000.")
    ] = 64,
    max_request_mb: Annotated[
        int, typer.Option(metavar="MB", help="Largest request that is taken, 1 to 4000.")
    ] = 256,
    max_held_mb: Annotated[
        int, typer.Option(metavar="MB", help="Most MB of uploads in memory, all requests together.")
    ] = 1024,
    max_files: Annotated[
        int, typer.Option(metavar="N", help="Most files in one request, 1 to 10000.")
    ] = 100,
    max_pixels: Annotated[
        int, typer.Option(metavar="N", help="Most pixels of a picture, 1 to 250000000.")
    ] = 50_000_000,
    max_waiting: Annotated[
        int, typer.Option(metavar="N", help="Most radiographs that wait; more are told to wait.")
    ] = 64,
    max_connections: Annotated[
        int, typer.Option(metavar="N", help="Most connections at once, 1 to 10000.")
    ] = 512,
    upload_timeout: Annotated[
        float, typer.Option(metavar="S", help="Seconds that one upload may take.")
    ] = 120,
    work_timeout: Annotated[
        float, typer.Option(metavar="S", help="Seconds that one radiograph may take.")
    ] = 60,
) -> None:
    """Serve the web app and its HTTP API: radiographs in a browser, or from a program.

    Nothing that is uploaded is written to disk or kept after its answer, unless --keep says so.
    SIGTERM or Control-C ends it. Exit code: 0 if it was ended so, 2 if it could not start.
    """
    require_extra("web", "fastapi", "jinja2", "uvicorn", "python_multipart", "prometheus_client")
    from boneage.apps.web.settings import Limits, ServeSettings, read_token

    limits = Limits(
        file_mb=max_mb,
        request_mb=max_request_mb,
        held_mb=max_held_mb,
        files=max_files,
        pixels=max_pixels,
        waiting=max_waiting,
        connections=max_connections,
        upload_s=upload_timeout,
        work_s=work_timeout,
    )
    chosen = {} if workers is None else {"workers": workers}
    settings = ServeSettings(
        host=host,
        port=port,
        model=model,
        level=level,
        token=read_token(token_file, os.environ.get("BONEAGE_TOKEN")),
        allow_host=tuple(allow_host or ()),
        keep=keep,
        limits=limits,
        **chosen,
    )
    from boneage.apps.web.serving import run_server

    run_server(settings)
