import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bright_squares import SETTINGS, bright_squares, course
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from boneage.dataset.prepared import PreparedData
from boneage.errors import OutputError, TrainingError
from boneage.network.build import BoneAgeNetwork, build_network
from boneage.network.settings import NetworkSettings
from boneage.training.batches import make_loader
from boneage.training.checkpoints import check_readable
from boneage.training.fit import fit
from boneage.training.module import (
    LABEL_SD_MONTHS,
    BoneAgeModule,
    distribution_loss,
    spread_loss,
)
from boneage.training.settings import TrainingSettings
from boneage.training.start import Start


@pytest.mark.parametrize(
    "changes",
    [
        {"architecture": "residual"},
        {"architecture": "hypermodel", "conv_layers": 3, "conv_filters": 8},
        {"architecture": "efficientnet", "pretrained": True, "loss": "distribution"},
    ],
    ids=lambda changes: changes["architecture"],
)
def test_a_network_learns(tmp_path: Path, changes: dict[str, Any]) -> None:
    settings = TrainingSettings().updated(
        **{**SETTINGS, "epochs": 12, "stages": 3, "hidden": 32},
        **changes,
        rotation_deg=0.0,
        scale=0.0,
        shift=0.0,
    )
    validation = bright_squares(60, seed=2)
    result = fit(settings, bright_squares(300, seed=1), validation, tmp_path)
    guess = np.abs(validation.bone_ages_months - validation.bone_ages_months.mean()).mean()
    assert result.best_mae_months < 0.5 * guess
    assert (tmp_path / "checkpoints" / "best.ckpt").exists()
    assert (tmp_path / "checkpoints" / "last.ckpt").exists()
    assert list((tmp_path / "tensorboard").glob("events*"))
    assert [row[0] for row in course(tmp_path)] == list(range(1, result.epochs_run + 1))


def test_a_region_is_learned_beside_what_is_learned_already(tmp_path: Path) -> None:
    settings = TrainingSettings().updated(
        **{**SETTINGS, "epochs": 1, "stages": 3, "hidden": 16}, architecture="efficientnet"
    )
    train, validation = bright_squares(80, seed=1), bright_squares(20, seed=2)
    first = fit(settings, train, validation, tmp_path / "first").network.state_dict()
    both = settings.updated(regions=[[0, 0, 1, 1], [0.1, 0.2, 0.8, 1.25]], frozen_regions=1)
    result = fit(
        both, train, validation, tmp_path / "both", start=Start(tmp_path, first, "of the first")
    )
    second = result.network.state_dict()
    assert mae_of(result.network, validation) == pytest.approx(result.best_mae_months, abs=1e-2)
    for name, value in first.items():
        assert torch.equal(second[name], value), name
    of_region = {name for name in second if name.startswith("others.0.")}
    assert len(of_region) > 50
    assert of_region == second.keys() - first.keys()
    moved = [n for n in of_region if not torch.equal(second[n], first["body." + n[9:]])]
    assert len(moved) == len(of_region)


def test_the_best_epoch_is_what_comes_back(tmp_path: Path) -> None:
    validation = bright_squares(40, seed=2)
    result = fit(
        TrainingSettings().updated(**SETTINGS), bright_squares(80, seed=1), validation, tmp_path
    )
    assert mae_of(result.network, validation) == pytest.approx(result.best_mae_months, abs=1e-2)
    lowest = min(row[3] for row in course(tmp_path))
    assert lowest == pytest.approx(result.best_mae_months, rel=1e-5)


def opposite(data: PreparedData) -> PreparedData:
    """The same images with ages turned round: the more is learned, the worse they are answered."""
    ages = np.float32(240) - data.bone_ages_months
    return dataclasses.replace(data, bone_ages_months=ages)


def mae_of(network: BoneAgeNetwork, data: PreparedData) -> float:
    with torch.inference_mode():
        images = torch.from_numpy(data.images)[:, None].float() / 255
        months = network(images, torch.from_numpy(data.sexes)).numpy()
    return float(np.abs(months - data.bone_ages_months).mean())


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_the_last_epoch_is_kept_if_asked_even_where_another_was_better(
    tmp_path: Path, ema: float
) -> None:
    train, validation = bright_squares(160, seed=1), opposite(bright_squares(40, seed=2))
    changes = {"epochs": 6, "keep": "last", "patience": 1, "ema": ema}
    settings = TrainingSettings().updated(**{**SETTINGS, **changes})
    result = fit(settings, train, validation, tmp_path)
    maes = [row[3] for row in course(tmp_path)]
    assert maes[-1] > min(maes) + 1
    assert (result.best_epoch, result.epochs_run) == (6, 6)  # and patience stopped nothing
    assert result.best_mae_months == result.last_mae_months
    assert mae_of(result.network, validation) == pytest.approx(maes[-1], abs=1e-2)
    best = fit(
        dataclasses.replace(settings, keep="best", patience=0), train, validation, tmp_path / "b"
    )
    assert best.best_mae_months == pytest.approx(min(maes), rel=1e-5)
    assert mae_of(best.network, validation) == pytest.approx(min(maes), abs=1e-2)


def test_the_average_of_the_weights_is_what_is_validated_and_kept(tmp_path: Path) -> None:
    train, validation = bright_squares(160, seed=1), bright_squares(40, seed=2)
    networks, figures = [], []
    for name, ema in (("plain", 0.0), ("average", 0.97)):
        settings = TrainingSettings().updated(**{**SETTINGS, "ema": ema, "keep": "last"})
        result = fit(settings, train, validation, tmp_path / name)
        networks.append(result.network)
        figures.append(course(tmp_path / name)[-1])
        assert mae_of(result.network, validation) == pytest.approx(figures[-1][3], abs=1e-2)
    # The weights that learn are the same either way; only what is validated differs.
    assert figures[0][1:3] == figures[1][1:3]
    assert abs(figures[0][3] - figures[1][3]) > 0.1
    untrained = networks[0].state_dict()
    assert any(
        not torch.equal(value, untrained[name]) for name, value in networks[1].state_dict().items()
    )


def test_training_stops_when_validation_stops_improving(tmp_path: Path) -> None:
    settings = TrainingSettings().updated(
        **{**SETTINGS, "epochs": 50}, patience=2, learning_rate=1e-9
    )
    result = fit(settings, bright_squares(32, seed=1), bright_squares(16, seed=2), tmp_path)
    assert result.epochs_run < 50


def test_the_same_seed_takes_the_same_course_and_another_seed_another(tmp_path: Path) -> None:
    train, validation = bright_squares(48, seed=1), bright_squares(16, seed=2)
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        settings = TrainingSettings().updated(**{**SETTINGS, "epochs": 2, "seed": seed})
        fit(settings, train, validation, tmp_path / name)
    assert course(tmp_path / "a") == course(tmp_path / "b")
    assert course(tmp_path / "a") != course(tmp_path / "c")


def test_a_full_disk_stops_the_training_and_keeps_the_checkpoints_whole(tmp_path: Path) -> None:
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=450k", "none", str(place)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("may not mount a small file system here")
    settings = TrainingSettings().updated(**SETTINGS)
    data = bright_squares(48, seed=1), bright_squares(16, seed=2)
    try:
        with pytest.raises(OutputError, match="the disk is full"):
            fit(settings, *data, place)
        left = {path.name for path in (place / "checkpoints").iterdir()}
        for name in left:
            check_readable(place / "checkpoints" / name)
    finally:
        subprocess.run(["umount", str(place)], check=True)
    assert left <= {"best.ckpt", "last.ckpt"}


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    settings = TrainingSettings().updated(**{**SETTINGS, "epochs": 1})
    data = bright_squares(48, seed=1), bright_squares(16, seed=2)
    fit(settings, *data, tmp_path)
    last = tmp_path / "checkpoints" / "last.ckpt"
    last.write_bytes(last.read_bytes()[:5000])
    with pytest.raises(TrainingError, match=r"last\.ckpt cannot be read.*--overwrite"):
        fit(settings, *data, tmp_path, resume=True)


def test_too_few_radiographs_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="at least 2"):
        fit(TrainingSettings(), bright_squares(1, 0), bright_squares(4, 0), tmp_path)


def test_a_loss_that_is_not_finite_stops_with_advice(tmp_path: Path) -> None:
    data = bright_squares(32, seed=1)
    data.bone_ages_months[5] = np.nan
    settings = TrainingSettings().updated(**SETTINGS)
    with pytest.raises(TrainingError, match="--learning-rate"):
        fit(settings, data, bright_squares(8, seed=2), tmp_path)


@pytest.mark.parametrize(("count", "batch"), [(1, 4), (5, 4), (8, 4), (33, 16)])
def test_an_epoch_shows_every_radiograph_but_a_lone_last_one(count: int, batch: int) -> None:
    data = bright_squares(count, seed=1)
    loader = make_loader(data, batch, shuffle=True)
    seen = np.concatenate([part["months"].numpy() for part in loader])
    alone = count % batch == 1 and count > 1
    assert len(seen) == count - alone
    assert set(seen.tolist()) <= set(data.bone_ages_months.tolist())
    assert len(set(seen.tolist())) == len(seen)
    assert len(loader) == len(list(loader))


def test_every_epoch_has_an_order_of_its_own_and_the_seed_repeats_it() -> None:
    data = bright_squares(40, seed=1)

    def order(seed: int, epoch: int) -> list[float]:
        loader = make_loader(data, 8, shuffle=True, seed=seed)
        loader.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
        return [float(part["months"].sum()) for part in loader]

    assert order(0, 1) == order(0, 1)
    assert order(0, 1) != order(0, 2)
    assert order(0, 1) != order(1, 1)


RESUMABLE = """
import hashlib, json, sys
from pathlib import Path
sys.path.insert(0, {tests!r})  # where this test lies
from bright_squares import SETTINGS, bright_squares
from boneage.training.fit import fit
from boneage.training.settings import TrainingSettings

if __name__ == "__main__":
    run = Path(sys.argv[1])
    settings = TrainingSettings().updated(**{{**SETTINGS, "epochs": 8, **json.loads(sys.argv[2])}})
    done = fit(settings, bright_squares(400, 1), bright_squares(32, 2), run, resume=True)
    weights = b"".join(v.numpy().tobytes() for v in done.network.state_dict().values())
    (run / "weights.txt").write_text(hashlib.sha256(weights).hexdigest())
"""


@pytest.mark.parametrize("changes", [{}, {"ema": 0.9, "keep": "last"}], ids=["plain", "average"])
def test_a_training_killed_with_9_goes_on_as_if_it_had_never_stopped(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    script = tmp_path / "train.py"
    script.write_text(RESUMABLE.format(tests=str(Path(__file__).parent)))
    source = Path(__file__).parents[2] / "src"
    env = {**os.environ, "PYTHONPATH": str(source)}

    def start(run: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, str(script), str(tmp_path / run), json.dumps(changes)],
            env=env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )

    def finish(process: subprocess.Popen[bytes]) -> None:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors.decode()

    finish(start("whole"))

    rows = tmp_path / "stopped" / "metrics.csv"
    with start("stopped") as stopped:
        deadline = time.monotonic() + 240
        while not (rows.exists() and len(rows.read_text().splitlines()) >= 4):
            assert stopped.poll() is None, stopped.communicate()[1].decode()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        stopped.send_signal(signal.SIGKILL)
    assert 3 <= len(course(tmp_path / "stopped")) < 8

    finish(start("stopped"))
    assert course(tmp_path / "stopped") == course(tmp_path / "whole")
    whole, stopped_too = ((tmp_path / run / "weights.txt") for run in ("whole", "stopped"))
    assert stopped_too.read_text() == whole.read_text()


def test_the_gradient_is_clipped_to_its_largest_norm() -> None:
    network = build_network(NetworkSettings(width=8, blocks=(0, 1)), size_px=32)
    module = BoneAgeModule(network, TrainingSettings(gradient_clip=0.5))
    for weights in network.parameters():
        weights.grad = torch.ones_like(weights)
    optimizer = torch.optim.AdamW(network.parameters(), fused=True)

    module.configure_gradient_clipping(optimizer, 0.5)

    norms = torch.stack([w.grad.norm() for w in network.parameters() if w.grad is not None])
    assert float(norms.norm()) == pytest.approx(0.5, rel=1e-3)


@given(st.floats(0, 236), st.floats(-5, 5))
def test_the_loss_of_a_distribution_is_its_cross_entropy(label: float, slope: float) -> None:
    ages = torch.arange(0, 240, 4, dtype=torch.float64)
    logits = torch.sin(ages / 30 * slope)[None]
    labels = torch.tensor([label], dtype=torch.float64)
    wanted = stats.norm.pdf(ages.numpy(), label, LABEL_SD_MONTHS)
    wanted /= wanted.sum()
    shares = np.exp(logits[0].numpy()) / np.exp(logits[0].numpy()).sum()
    found = float(distribution_loss(logits, labels, ages))
    assert found == pytest.approx(float(-(wanted * np.log(shares)).sum()), rel=1e-6)
    # Nothing does better than the wanted distribution itself.
    perfect = torch.from_numpy(np.log(wanted + 1e-300))[None]
    assert float(distribution_loss(perfect, labels, ages)) <= found + 1e-9


def test_the_expected_error_learns_the_error_and_leaves_the_answer_alone() -> None:
    rng = np.random.default_rng(0)
    labels = torch.from_numpy(rng.uniform(20, 200, 400))
    months = (labels + torch.from_numpy(rng.laplace(0, 7, 400))).requires_grad_()
    errors = (months - labels).abs().detach()
    best = float(errors.mean())
    losses = {
        factor: float(spread_loss(torch.full((400,), best * factor), months, labels).detach())
        for factor in (0.5, 0.9, 1.0, 1.1, 2.0)
    }
    assert min(losses, key=lambda factor: losses[factor]) == 1.0
    spread = torch.full((400,), best, dtype=torch.float64, requires_grad=True)
    spread_loss(spread, months, labels).backward()
    assert months.grad is None
    assert spread.grad is not None
    assert float(spread.grad.sum()) == pytest.approx(0, abs=1e-9)
