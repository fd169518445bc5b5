"""The course of a training: ``metrics.csv``, and one line an epoch where no bar can be drawn."""

import csv
import io
import math
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as lightning

from boneage.files import write_text
from boneage.training.module import BoneAgeModule

__all__ = ["HISTORY_COLUMNS", "History"]

HISTORY_COLUMNS = (
    "epoch",
    "train_loss",
    "train_mae_months",
    "validation_mae_months",
    "learning_rate",
    "seconds",
)


class History(lightning.Callback):
    """Keeps a row an epoch in the checkpoint and in ``metrics.csv``.

    The rows travel with the checkpoint, so a resumed run writes the file as if it had never
    stopped: an epoch that was lost with the process is lost here, too.

    Args:
        path: Where ``metrics.csv`` is to be, or None to keep the rows in memory only.
        echo: Print one line an epoch.
    """

    def __init__(self, path: Path | None, *, echo: bool = False) -> None:
        self.rows: list[dict[str, float]] = []
        self._path = path
        self._echo = echo
        self._start = 0.0

    def on_train_epoch_start(
        self,
        trainer: lightning.Trainer,  # noqa: ARG002
        pl_module: lightning.LightningModule,  # noqa: ARG002
    ) -> None:
        """Start the epoch's clock."""
        self._start = time.perf_counter()

    def on_train_epoch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Add the epoch's row and write the file."""
        # Lightning calls the module's own hook after this one, so its figures are asked for here.
        assert isinstance(pl_module, BoneAgeModule)
        figures = pl_module.train_figures()
        row = {
            "epoch": float(trainer.current_epoch + 1),
            "train_loss": figures["train_loss"],
            "train_mae_months": figures["train_mae_months"],
            "validation_mae_months": float(
                trainer.callback_metrics.get("validation_mae_months", math.nan)
            ),
            "learning_rate": float(pl_module.optimizers().param_groups[0]["lr"]),  # type: ignore[union-attr]
            "seconds": time.perf_counter() - self._start,
        }
        self.rows.append(row)
        if not trainer.is_global_zero:
            return
        if self._path is not None:
            write_text(self._path, self.as_csv())
        if self._echo:
            validated = not math.isnan(row["validation_mae_months"])
            print(
                f"epoch {row['epoch']:.0f}/{trainer.max_epochs}: "
                f"train MAE {row['train_mae_months']:.2f}, "
                + (
                    f"validation MAE {row['validation_mae_months']:.2f} months, "
                    if validated
                    else "no validation, "
                )
                + f"{row['seconds']:.0f} s",
                flush=True,
            )

    def as_csv(self) -> str:
        """The rows as the text of ``metrics.csv``."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(HISTORY_COLUMNS)
        for row in self.rows:
            writer.writerow(
                [int(row["epoch"]), *(_cell(row[name]) for name in HISTORY_COLUMNS[1:])]
            )
        return text.getvalue()

    def state_dict(self) -> dict[str, Any]:
        """What the checkpoint keeps."""
        return {"rows": [dict(row) for row in self.rows]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the rows of a checkpoint."""
        self.rows = [dict(row) for row in state_dict["rows"]]


def _cell(value: float) -> str:
    """A number as it is written; empty where there is none."""
    return "" if math.isnan(value) else f"{value:.6g}"
