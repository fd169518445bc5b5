"""Several processes train one network: the same course, one writer, and a clear end."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as lightning
import torch
from bright_squares import SETTINGS, bright_squares, course
from torch import nn

from boneage.errors import SettingsError, TrainingError
from boneage.network.build import build_network
from boneage.training.augmentation import AugmentationSettings
from boneage.training.batches import epoch_seed, make_loader
from boneage.training.fit import fit
from boneage.training.helpers import place_in
from boneage.training.module import BoneAgeModule
from boneage.training.processes import connected, strategy_for
from boneage.training.settings import TrainingSettings

pytestmark = [
    pytest.mark.usefixtures("threads_kept"),
    pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="needs two cores"),
]
TWO = TrainingSettings().updated(**{**SETTINGS, "epochs": 4, "devices": 2})
# Odd sizes: the slices of a batch differ, and so do the last batches of an epoch.
ODD = {"count": 40, "batch_size": 7}


@pytest.mark.parametrize(("count", "batch"), [(37, 7), (40, 8), (9, 4), (4, 16), (11, 4)])
def test_the_slices_make_up_the_batches_of_one_process(count: int, batch: int) -> None:
    data = bright_squares(count, seed=1)
    alone = list(make_loader(data, batch, shuffle=True, seed=5))
    ranks = [
        list(make_loader(data, batch, shuffle=True, seed=5, rank=rank, ranks=2)) for rank in (0, 1)
    ]
    assert len(ranks[0]) == len(ranks[1])
    # A batch that cannot give two to each is left out; it can only be the last one.
    assert len(alone) - len(ranks[0]) == (0 < count % batch < 4 and count % batch != 1)
    for whole, *slices in zip(alone, *ranks, strict=False):
        together = np.concatenate([part["months"].numpy() for part in slices])
        assert sorted(together) == sorted(whole["months"].numpy())
        assert {int(part["whole"]) for part in slices} == {len(whole["months"])}
        assert all(len(part["months"]) >= 2 for part in slices)


def test_everyone_validates_as_often_and_nobody_twice() -> None:
    data = bright_squares(5, seed=1)
    ranks = [list(make_loader(data, 4, shuffle=False, rank=rank, ranks=2)) for rank in (0, 1)]
    assert [len(part["months"]) for part in ranks[0]] == [2, 1]
    assert [len(part["months"]) for part in ranks[1]] == [2, 0]
    seen = np.concatenate([part["months"].numpy() for parts in ranks for part in parts])
    assert sorted(seen) == sorted(data.bone_ages_months)


def test_each_process_draws_for_itself_and_the_first_as_if_alone() -> None:
    drawn = [epoch_seed(3, 5, 1, rank) for rank in range(4)]
    assert len(set(drawn)) == 4
    assert drawn[0] == epoch_seed(3, 5, 1)


class _Still(lightning.Callback):
    """Keeps batch statistics out: they are the one thing that processes do not share."""

    def on_train_epoch_start(
        self,
        trainer: lightning.Trainer,  # noqa: ARG002
        pl_module: lightning.LightningModule,
    ) -> None:
        for module in pl_module.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()


def train_without_statistics(rank: int, ranks: int, meeting: Path) -> list[float]:
    """Losses of three epochs without anything random, then the weights in one number."""
    settings = TrainingSettings().updated(
        **{**SETTINGS, "epochs": 3, "dropout": 0.0, "batch_size": ODD["batch_size"]},
        augmentation=AugmentationSettings.off(),
    )
    # Not the same weights to begin with: those of the first process count.
    torch.manual_seed(rank)
    network = build_network(settings.network, size_px=32, mean_months=120.0, sd_months=50.0)
    module, losses = BoneAgeModule(network, settings), []
    place = place_in(meeting, rank, ranks)
    with connected(place, "cpu") as joined:
        trainer = lightning.Trainer(
            accelerator="cpu", devices=ranks, max_epochs=3,
            strategy=strategy_for(joined) if ranks > 1 else "auto",
            callbacks=[_Still(), _Reader(losses)], logger=False, enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False, use_distributed_sampler=False,
            gradient_clip_val=settings.gradient_clip, limit_val_batches=0,
        )  # fmt: skip
        data = bright_squares(ODD["count"], seed=1)
        loader = make_loader(data, settings.batch_size, shuffle=True, rank=rank, ranks=ranks)
        trainer.fit(module, loader)
    return [*losses, sum(float(w.detach().square().sum()) for w in module.parameters())]


class _Reader(lightning.Callback):
    def __init__(self, losses: list[float]) -> None:
        self.losses = losses

    def on_train_epoch_end(
        self,
        trainer: lightning.Trainer,  # noqa: ARG002
        pl_module: lightning.LightningModule,
    ) -> None:
        assert isinstance(pl_module, BoneAgeModule)
        self.losses.append(pl_module.train_figures()["train_loss"])


SECOND = """
import json, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import torch
from test_processes import train_without_statistics

torch.set_num_threads(1)
print(json.dumps(train_without_statistics(1, 2, Path(sys.argv[1]))))
"""


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
@pytest.mark.filterwarnings("ignore:.*`val_dataloader`")
@pytest.mark.filterwarnings("ignore:.*treespec, LeafSpec")
@pytest.mark.filterwarnings("ignore:.*number of training batches")
def test_without_batch_statistics_two_processes_take_the_course_of_one(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    tests = Path(__file__).parent
    with subprocess.Popen(
        [sys.executable, "-c", SECOND.format(tests=str(tests)), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(tests.parents[1] / "src")},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as second:
        two = train_without_statistics(0, 2, tmp_path)
        said = second.communicate()[0]
    one = train_without_statistics(0, 1, tmp_path)
    assert json.loads(said) == pytest.approx(two, rel=1e-9)
    assert two == pytest.approx(one, rel=2e-4)
    assert one[0] > one[2]


def helper_of_this_process() -> int | None:
    """The process that ``fit`` has started, found as the system lists it."""
    for task in Path("/proc/self/task").iterdir():
        for child in (task / "children").read_text().split():
            if b"boneage.training.helper" in Path(f"/proc/{child}/cmdline").read_bytes():
                return int(child)
    return None


def kill_helper(when: Callable[[], bool], code: int = signal.SIGKILL) -> threading.Thread:
    def watch() -> None:
        while not when():
            time.sleep(0.005)
        pid = helper_of_this_process()
        assert pid is not None
        os.kill(pid, code)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread


def data() -> tuple[Any, Any]:
    return bright_squares(400, seed=1), bright_squares(33, seed=2)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two processes that was never interrupted."""
    folder = tmp_path_factory.mktemp("two")
    fit(TWO, *data(), folder)
    return folder


def test_two_processes_learn_as_one_does_within_noise(whole: Path, tmp_path: Path) -> None:
    """docs/how-to/many-machines.md: of slices of 8 the loss is higher by a tenth, seeds apart."""
    fit(TWO.updated(devices=1), *data(), tmp_path)
    one, two = np.array(course(tmp_path)), np.array(course(whole))
    assert one[:, 4] == pytest.approx(two[:, 4], rel=1e-6)  # as many steps, at the same rates
    assert two[:, 1] == pytest.approx(one[:, 1], rel=0.35)
    assert two[-1, 3] < 0.6 * two[0, 3]
    assert [path.name for path in sorted((whole / "checkpoints").iterdir())] == [
        "best.ckpt", "last.ckpt",
    ]  # fmt: skip


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the helper by /proc")
def test_a_killed_process_ends_the_training_which_then_goes_on(whole: Path, tmp_path: Path) -> None:
    rows = tmp_path / "metrics.csv"

    def two_epochs() -> bool:
        return rows.exists() and len(rows.read_text().splitlines()) >= 3

    killer = kill_helper(two_epochs)
    with pytest.raises(TrainingError, match=r"Process 2 of 2 .*SIGKILL.*--resume"):
        fit(TWO, *data(), tmp_path)
    killer.join()
    assert 2 <= len(course(tmp_path)) < 4
    assert helper_of_this_process() is None
    fit(TWO, *data(), tmp_path, resume=True)
    assert course(tmp_path) == course(whole)


def test_what_goes_wrong_in_another_process_is_said_by_the_first(tmp_path: Path) -> None:
    train, validation = data()
    # One that the second process takes in the first step: the first process sees nothing wrong.
    loader = make_loader(train, TWO.batch_size, shuffle=True, seed=TWO.seed, rank=1, ranks=2)
    months = next(iter(loader))["months"][0].numpy()
    train.sexes[train.bone_ages_months == months] = np.nan
    with pytest.raises(TrainingError, match=r"not finite.*--learning-rate"):
        fit(TWO, train, validation, tmp_path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"devices": 1000}, r"--devices 1000: this machine has \d+ cores"),
        ({"batch_size": 3}, "--batch-size 3 of 400 radiographs is for all 2"),
        ({"device": "cpu", "devices": -1}, "--devices must be within 0 to 1024"),
        ({"nodes": 0}, "--nodes must be within 1 to 1024"),
    ],
)
def test_devices_that_cannot_be_are_refused(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        fit(TWO.updated(**changes), *data(), tmp_path)
    assert not list(tmp_path.iterdir())
