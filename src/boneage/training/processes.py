"""The processes that train one network together, one for each device.

They are started by boneage itself (:mod:`boneage.training.helpers`), by torchrun or by SLURM. Each
stands in its place; the first one alone writes, measures and reports. PyTorch averages the
gradients of all of them in every step (distributed data parallel).
"""

import datetime
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch
from pytorch_lightning.plugins.environments import (  # type: ignore[attr-defined]
    LightningEnvironment,
    SLURMEnvironment,
    TorchElasticEnvironment,
)
from pytorch_lightning.strategies import DDPStrategy
from torch import distributed

from boneage.errors import BoneAgeError, SettingsError, TrainingError
from boneage.training.hardware import choose_hardware
from boneage.training.settings import TrainingSettings

__all__ = ["ALONE", "Place", "connected", "find_place", "lost_connection", "strategy_for"]

T = TypeVar("T")

# Long enough for one process to prepare the images that the others wait for.
_PATIENCE = datetime.timedelta(hours=4)


@dataclass(frozen=True)
class Place:
    """Where a process stands among those that train together.

    Attributes:
        rank: Its number among all, from 0.
        local_rank: Its number on its machine, from 0, and that of its device.
        node: The number of its machine, from 0.
        count: How many processes there are.
        meeting: URL at which they find each other; see ``torch.distributed``.
        talk: The group that what is no tensor of the training goes through.
    """

    rank: int = 0
    local_rank: int = 0
    node: int = 0
    count: int = 1
    meeting: str = ""
    talk: Any = None

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes, measures and reports."""
        return self.rank == 0

    def first(self, work: Callable[[], T]) -> T:
        """Let the first process do something and tell all the others what came of it.

        Raises:
            BoneAgeError: It was raised in the first process, and now is in every one.
        """
        if self.count == 1:
            return work()
        answer: list[Any] = [None]
        if self.is_first:
            try:
                answer = [work()]
            except BoneAgeError as error:
                answer = [error]
        distributed.broadcast_object_list(answer, src=0, group=self.talk)
        if isinstance(answer[0], BoneAgeError):
            raise answer[0]
        result: T = answer[0]
        return result


ALONE = Place()


def find_place(settings: TrainingSettings) -> Place:
    """The place that torchrun or SLURM has given this process.

    Returns:
        ``ALONE`` where neither has started it, or only this one.

    Raises:
        SettingsError: They have started another number of processes than the settings ask for, or
            several machines are asked for and nothing has started boneage on them.
    """
    devices, nodes = choose_hardware(settings).devices, settings.nodes
    environment: TorchElasticEnvironment | SLURMEnvironment
    if TorchElasticEnvironment.detect():
        environment, launcher = TorchElasticEnvironment(), "torchrun"
    elif devices * nodes > 1 and int(os.environ.get("SLURM_NTASKS", 1)) > 1:
        # Requeued jobs go on by --resume; Lightning would leave a checkpoint in the working folder.
        environment, launcher = SLURMEnvironment(auto_requeue=False), "SLURM"
    elif nodes > 1:
        raise SettingsError(
            f"--nodes {nodes}: boneage must be started on every machine, by torchrun or by SLURM's "
            "srun. docs/how-to/many-machines.md shows the commands."
        )
    else:
        return ALONE
    if environment.world_size() != devices * nodes:
        raise SettingsError(
            f"{launcher} has started {environment.world_size()} processes, but --devices {devices} "
            f"and --nodes {nodes} are {devices * nodes}. Give the devices of each machine and the "
            "number of machines."
        )
    return Place(
        rank=environment.global_rank(),
        local_rank=environment.local_rank(),
        node=environment.node_rank(),
        count=environment.world_size(),
        meeting=f"tcp://{environment.main_address}:{environment.main_port}",
    )


@contextmanager
def connected(place: Place, accelerator: str) -> Iterator[Place]:
    """Join the other processes, and leave them at the end.

    Args:
        place: Where this process stands; with a count of 1 nothing happens.
        accelerator: ``cpu`` (they talk by gloo) or ``cuda`` (by NCCL).

    Yields:
        The place, with a group to talk through.

    Raises:
        TrainingError: Another process is gone.
    """
    if place.count == 1:
        yield place
        return
    on_gpu = accelerator == "cuda"
    if on_gpu:
        torch.cuda.set_device(place.local_rank)
    try:
        distributed.init_process_group(
            "nccl" if on_gpu else "gloo",
            init_method=place.meeting,
            rank=place.rank,
            world_size=place.count,
            timeout=_PATIENCE,
        )
        yield replace(place, talk=distributed.new_group(backend="gloo") if on_gpu else None)
    except RuntimeError as error:
        if not lost_connection(error):
            raise
        raise TrainingError(
            f"Process {place.rank + 1} of {place.count} has lost the connection to another one, "
            "which has failed or was killed. What that one printed says why. The run goes on from "
            "its last epoch with the same command and --resume."
        ) from error
    finally:
        if distributed.is_initialized():
            distributed.destroy_process_group()


def lost_connection(error: BaseException) -> bool:
    """Whether an error of PyTorch means that another process is gone."""
    words = ("gloo", "Connection closed by peer", "Connection reset", "NCCL", "Broken pipe")
    return isinstance(error, distributed.DistError) or any(word in str(error) for word in words)


def strategy_for(place: Place) -> DDPStrategy:
    """What Lightning trains by where there are several processes."""
    return _Joined(cluster_environment=_Standing(place))


class _Standing(LightningEnvironment):
    """Tells Lightning the place of this process."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self._place = place

    @property
    def creates_processes_externally(self) -> bool:
        return True

    def local_rank(self) -> int:
        return self._place.local_rank

    def node_rank(self) -> int:
        return self._place.node


class _Joined(DDPStrategy):
    """Distributed data parallel among processes that are there already.

    Lightning's launcher would set the number of threads, whatever ``--threads`` says, and refuse
    to work in a notebook.
    """

    def _configure_launcher(self) -> None:
        self._launcher = None
