"""Fitting one network: from prepared radiographs to the best and the last checkpoint."""

import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytorch_lightning as lightning
import torch
from pytorch_lightning.callbacks import (
    Callback,
    EarlyStopping,
    EMAWeightAveraging,
    ModelCheckpoint,
    RichProgressBar,
)
from pytorch_lightning.loggers import TensorBoardLogger

from boneage.dataset.prepared import PreparedData
from boneage.errors import SettingsError, TrainingError
from boneage.files import output_errors
from boneage.network.build import BoneAgeNetwork, build_network
from boneage.network.efficientnet import EfficientNetLite
from boneage.network.pretrained import load_imagenet
from boneage.training.batches import make_loader
from boneage.training.checkpoints import WholeCheckpoints, check_readable
from boneage.training.hardware import Hardware, choose_hardware, keep_freed_memory
from boneage.training.helpers import Job, helpers
from boneage.training.history import History
from boneage.training.module import BoneAgeModule
from boneage.training.processes import ALONE, Place, connected, strategy_for
from boneage.training.settings import TrainingSettings
from boneage.training.start import Start

__all__ = ["CHECKPOINT_FOLDER", "Fit", "fit"]

CHECKPOINT_FOLDER = "checkpoints"
_MONITOR = "validation_mae_months"


@dataclass(frozen=True, eq=False)
class Fit:
    """What a training gave.

    Attributes:
        network: The network of the epoch that is kept, in evaluation mode, on the CPU.
        best_epoch: The number of that epoch, from 1: the best one, or with ``keep="last"`` the
            last.
        best_mae_months: Its validation MAE in months; NaN without validation.
        last_mae_months: Validation MAE of the last epoch in months; NaN without validation.
        epochs_run: Epochs that were run.
        history: A row an epoch, as in ``metrics.csv``.
    """

    network: BoneAgeNetwork
    best_epoch: int
    best_mae_months: float
    last_mae_months: float
    epochs_run: int
    history: list[dict[str, float]]


def fit(
    settings: TrainingSettings,
    train: PreparedData,
    validation: PreparedData | None,
    folder: Path,
    *,
    start: Start | None = None,
    resume: bool = False,
    on_epoch: Callable[[int, float], None] | None = None,
    place: Place = ALONE,
) -> Fit:
    """Train until the last epoch, or until the validation MAE has stopped falling.

    Args:
        settings: How to train.
        train: PreparedData to learn from, at least two.
        validation: PreparedData that choose the epoch, at least one; or None with ``keep="last"``,
            which chooses nothing: then there are no validation figures.
        folder: Run folder: gets ``metrics.csv``, ``checkpoints/`` and ``tensorboard/``.
        start: Weights to start from; otherwise they are drawn, or those of ImageNet.
        resume: Go on from ``checkpoints/last.ckpt`` if it is there.
        on_epoch: Is given each epoch, from 1, and its validation MAE in months, before the
            checkpoint of that epoch is written. What it raises ends the training. Who listens
            tells the course, so it is not printed.
        place: Where this process stands among those that are connected already. If it is alone and
            ``settings`` ask for several devices of this machine, helpers are started for them.

    Returns:
        The network of the best epoch and the course of the training; in any process but the first
        the network of the last epoch.

    Raises:
        SettingsError: The devices are not there, or the batch is too small for so many.
        TrainingError: Too few examples, the loss is not finite, ``start`` is of another network,
            or another process is gone.
        OutputError: The run folder cannot be written.
    """
    validated = 0 if validation is None else len(validation)
    if len(train) < 2 or (validation is not None and not validated):
        raise TrainingError(
            f"There are {len(train)} radiographs to train on and {validated} to validate "
            "on; at least 2 and 1 are needed. Give more data or another split."
        )
    if validation is None and settings.keep != "last":
        raise TrainingError(
            'Without radiographs to validate on no epoch can be called the best: give keep="last".'
        )
    hardware = choose_hardware(settings)
    _check_batch(settings, len(train), max(place.count, hardware.devices))
    if hardware.devices == 1 or place.count > 1:
        return _fit(settings, hardware, train, validation, folder, start, resume, on_epoch, place)
    job = Job(settings, train, validation, folder, resume)
    with (
        helpers(job, hardware.devices) as first,
        connected(first, hardware.accelerator) as joined,
    ):
        return _fit(settings, hardware, train, validation, folder, start, resume, on_epoch, joined)


def _check_batch(settings: TrainingSettings, examples: int, processes: int) -> None:
    """Refuse batches of which a process would get less than two.

    Raises:
        SettingsError: The batch, or the data, is too small.
    """
    least = 2 * processes
    if processes > 1 and min(settings.batch_size, examples) < least:
        raise SettingsError(
            f"--batch-size {settings.batch_size} of {examples} radiographs is for all {processes} "
            f"processes together, and each needs 2. Give {least} or more, or fewer --devices."
        )


def _fit(
    settings: TrainingSettings,
    hardware: Hardware,
    train: PreparedData,
    validation: PreparedData | None,
    folder: Path,
    start: Start | None,
    resume: bool,
    on_epoch: Callable[[int, float], None] | None,
    place: Place,
) -> Fit:
    keep_freed_memory()
    if settings.threads or hardware.devices > 1:
        cores = os.cpu_count() or 1
        torch.set_num_threads(settings.threads or max(1, cores // hardware.devices))
    torch.manual_seed(settings.seed)
    labels = train.bone_ages_months
    network = build_network(
        settings.network,
        size_px=settings.size_px,
        mean_months=float(labels.mean()),
        sd_months=max(1.0, float(labels.std())),
    )
    if start is not None:
        start.load_into(network)
    elif settings.pretrained:
        for body, _ in network.parts():
            if isinstance(body, EfficientNetLite):
                load_imagenet(body)
    network.freeze(settings.frozen_blocks, settings.frozen_regions)
    module = BoneAgeModule(network, settings)
    checkpoints = folder / CHECKPOINT_FOLDER
    # Two keepers, because Lightning's save_last writes only when the best epoch is written, too.
    # The last one comes second: it holds what the other one knows of the best.
    keepers = [
        ModelCheckpoint(
            dirpath=checkpoints,
            filename=name,
            monitor=monitor,
            mode="min",
            enable_version_counter=False,
            save_on_train_epoch_end=True,
        )
        for name, monitor in (("best", _MONITOR), ("last", None))
        if name == "last" or validation is not None
    ]
    on_screen = sys.stderr.isatty()
    history = History(folder / "metrics.csv", echo=not on_screen and on_epoch is None)
    callbacks: list[Callback] = [history, *keepers]
    if on_epoch is not None:
        callbacks.append(_Listener(on_epoch))
    if settings.ema:
        callbacks.append(EMAWeightAveraging(decay=settings.ema))
    if settings.patience and settings.keep == "best":
        callbacks.append(
            EarlyStopping(
                _MONITOR,
                mode="min",
                patience=settings.patience,
                check_on_train_epoch_end=True,
            )
        )
    if on_screen:
        callbacks.append(RichProgressBar(leave=True))
    last = checkpoints / "last.ckpt"
    going_on = resume and last.exists()
    if going_on:
        check_readable(last)
    slices = {"rank": place.rank, "ranks": place.count}
    with output_errors(folder), _quiet_lightning():
        trainer = lightning.Trainer(
            accelerator=hardware.accelerator,
            devices=hardware.devices,
            num_nodes=settings.nodes,
            strategy="auto" if place.count == 1 else strategy_for(place),
            # On the CPU the statistics are those of each process: PyTorch joins them on GPUs only.
            sync_batchnorm=place.count > 1 and hardware.accelerator == "cuda",
            use_distributed_sampler=False,
            precision=hardware.precision,
            max_epochs=settings.epochs,
            callbacks=callbacks,
            plugins=[WholeCheckpoints()],
            logger=TensorBoardLogger(folder, name=None, version="tensorboard"),
            gradient_clip_val=settings.gradient_clip or None,
            enable_progress_bar=on_screen,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            log_every_n_steps=50,
        )
        trainer.fit(
            module,
            make_loader(train, settings.batch_size, shuffle=True, seed=settings.seed, **slices),
            None
            if validation is None
            else make_loader(validation, 2 * settings.batch_size, shuffle=False, **slices),
            ckpt_path=str(last) if going_on else None,
            weights_only=True,
        )
        if trainer.interrupted:
            raise KeyboardInterrupt
        if place.is_first:
            kept = torch.load(
                checkpoints / f"{settings.keep}.ckpt", map_location="cpu", weights_only=True
            )
            module.load_state_dict(kept["state_dict"])
    rows = history.rows
    chosen = min(rows, key=lambda row: row[_MONITOR]) if settings.keep == "best" else rows[-1]
    return Fit(
        network=module.network.cpu().eval(),
        best_epoch=int(chosen["epoch"]),
        best_mae_months=chosen[_MONITOR],
        last_mae_months=rows[-1][_MONITOR],
        epochs_run=len(rows),
        history=rows,
    )


class _Listener(Callback):
    """Passes each epoch's validation MAE on."""

    def __init__(self, listen: Callable[[int, float], None]) -> None:
        self._listen = listen

    def on_train_epoch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,  # noqa: ARG002
    ) -> None:
        self._listen(trainer.current_epoch + 1, float(trainer.callback_metrics[_MONITOR]))


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Silence advice that does not apply: batches come whole from a memory map, without workers."""
    logger = logging.getLogger("pytorch_lightning")
    level = logger.level
    logger.setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*does not have many workers.*")
        warnings.filterwarnings("ignore", ".*have no `val_dataloader`.*")
        warnings.filterwarnings("ignore", ".*treespec, LeafSpec.*")
        warnings.filterwarnings("ignore", ".*Checkpoint directory .* exists and is not empty.*")
        warnings.filterwarnings("ignore", ".*number of training batches.*logging interval.*")
        # What is frozen is meant to be in the mode of evaluation.
        warnings.filterwarnings("ignore", ".*in eval mode at the start of training.*")
        try:
            yield
        finally:
            logger.setLevel(level)
