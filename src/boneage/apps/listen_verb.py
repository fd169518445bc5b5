"""``boneage listen``: a DICOM node that answers the radiographs that are sent to it."""

import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from boneage.apps.prediction_inputs import ModelOption
from boneage.errors import require_extra

__all__ = ["listen"]


def listen(
    send_to: Annotated[
        str,
        typer.Option(
            metavar="HOST:PORT:AET", help="Archive that gets the results, as pacs:104:ARCHIVE."
        ),
    ],
    ae_title: Annotated[
        str, typer.Option(metavar="AET", help="AE title that the node answers to.")
    ] = "BONEAGE",
    host: Annotated[
        str,
        typer.Option(metavar="ADDRESS", help="Address to listen on. Default: this machine only."),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(metavar="N", help="TCP port to listen on; 0 takes a free one.")
    ] = 11112,
    allow: Annotated[
        list[str] | None,
        typer.Option(
            metavar="AET",
            help="AE title that may call; give it once for each. Without it everybody on this "
            "machine may; another --host needs it.",
        ),
    ] = None,
    queue: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder of the queue. Default: boneage/node in $XDG_STATE_HOME, else in "
            "~/.local/state.",
        ),
    ] = None,
    model: ModelOption = None,
    workers: Annotated[
        int, typer.Option(metavar="N", help="Processes that predict, 1 to 64, of a core each.")
    ] = 1,
    max_mb: Annotated[
        int, typer.Option(metavar="MB", help="Largest instance that is taken, 1 to 2000.")
    ] = 100,
    max_waiting: Annotated[
        int, typer.Option(metavar="N", help="Most instances that wait; more are refused.")
    ] = 10_000,
    max_per_minute: Annotated[
        int | None,
        typer.Option(metavar="N", help="Most instances in a minute from one address."),
    ] = None,
    max_associations: Annotated[
        int, typer.Option(metavar="N", help="Most associations at once, 1 to 256.")
    ] = 16,
    max_pdu: Annotated[
        int, typer.Option(metavar="BYTES", help="Largest PDU, 4096 to 1048576.")
    ] = 131_072,
    timeout: Annotated[
        float, typer.Option(metavar="S", help="Seconds that a silent peer is waited for.")
    ] = 60,
    reserve_mb: Annotated[
        int, typer.Option(metavar="MB", help="Space that receiving leaves free on the disk.")
    ] = 200,
    retry_first: Annotated[
        float, typer.Option(metavar="S", help="Seconds before a send is tried again; doubles.")
    ] = 1,
    retry_most: Annotated[
        float, typer.Option(metavar="S", help="Most seconds between two tries.")
    ] = 300,
    work_timeout: Annotated[
        float, typer.Option(metavar="S", help="Seconds that one radiograph may take.")
    ] = 300,
    keep_days: Annotated[
        float,
        typer.Option(
            metavar="DAYS", help="Keep files so long after they were answered; 0 removes them."
        ),
    ] = 0,
    remember_days: Annotated[
        float,
        typer.Option(metavar="DAYS", help="Remember so long that an instance was answered."),
    ] = 90,
    health_port: Annotated[
        int | None,
        typer.Option(metavar="N", help="Serve /health and /metrics on this port of loopback."),
    ] = None,
) -> None:
    """Receive radiographs over the network, predict, and send the results to an archive.

    A DICOM node: C-STORE and C-ECHO. What it has acknowledged is on the disk and survives a crash;
    results are sent until the archive has taken them. SIGTERM or Control-C ends it. Exit code: 0 if
    it was ended so, 2 if it could not start or go on.
    """
    require_extra("dicom", "pydicom", "pynetdicom", "highdicom")
    from boneage.apps.node.settings import Limits, NodeSettings, Peer, Retries, default_queue

    settings = NodeSettings(
        send_to=Peer.parse(send_to),
        ae_title=ae_title,
        host=host,
        port=port,
        allow=tuple(allow or ()),
        queue=default_queue() if queue is None else queue,
        model=model,
        workers=workers,
        keep_days=keep_days,
        remember_days=remember_days,
        health_port=health_port,
        limits=Limits(
            instance_mb=max_mb,
            waiting=max_waiting,
            per_minute=max_per_minute,
            associations=max_associations,
            pdu_bytes=max_pdu,
            timeout_s=timeout,
            reserve_mb=reserve_mb,
        ),
        retries=Retries(first_s=retry_first, most_s=retry_most, work_s=work_timeout),
    )
    from boneage.apps.node.node import run_node

    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s"
    )
    run_node(settings)
