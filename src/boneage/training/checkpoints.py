"""Checkpoints that are whole or absent, so that a run can always go on from the last one."""

import io
import os
from typing import Any

import torch
from pytorch_lightning.plugins import TorchCheckpointIO

from boneage.errors import TrainingError
from boneage.files import atomic_path

__all__ = ["WholeCheckpoints", "check_readable"]


class WholeCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint beside the old one and moves it into place.

    Lightning's own writer leaves half a file under the final name where the disk is full, which
    would cost the run the checkpoint that it had.
    """

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: str | os.PathLike[str],
        storage_options: Any | None = None,  # noqa: ARG002
    ) -> None:
        """Write ``checkpoint`` to ``path``, all of it or nothing.

        Raises:
            OutputError: The system refused to write.
        """
        # By way of memory: writing to a full disk torch.save raises no OSError.
        content = io.BytesIO()
        torch.save(checkpoint, content)
        with atomic_path(path) as temporary:
            temporary.write_bytes(content.getbuffer())


def check_readable(checkpoint: str | os.PathLike[str]) -> None:
    """Raise unless a checkpoint can be resumed from.

    Raises:
        TrainingError: It is damaged; the message says what to do.
    """
    try:
        torch.load(checkpoint, map_location="cpu", weights_only=True)["epoch"]
    except Exception as error:  # torch raises whatever the damaged bytes lead to
        raise TrainingError(
            f"{os.fspath(checkpoint)} cannot be read ({type(error).__name__}), so the run cannot "
            "go on. Say --overwrite to start anew."
        ) from error
