"""Training speed: images per second of the hypermodel here and in Keras, on the same images.

    python benchmarks/training_speed.py --keras-python KERAS/bin/python [--data DATA] [--rounds 3]

Both sides train the default hypermodel (256 px, 4 convolutional layers from 16 filters, dense 256,
depth 1, dropout 0.2) in batches of 64 and in a process of their own. boneage runs
:func:`boneage.training.fit.fit` as ``boneage train`` does; Keras runs ``model.fit`` as a Keras user
would write it. The contenders take turns, round after round, and the medians are compared. Keras
lives in an environment of its own, because it wants other versions:

    python -m venv KERAS && KERAS/bin/pip install keras tensorflow-cpu jax torch

A backend that is not installed there is left out. The residual network, which is the default, is
timed for information. DATA is a data folder as ``boneage train`` takes it; without it, phantoms.
"""

import argparse
import contextlib
import io
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))

OWN = {
    "boneage hypermodel": ["--architecture", "hypermodel"],
    "boneage hypermodel, no augmentation": ["--architecture", "hypermodel", "--plain"],
    "boneage hypermodel, float32": ["--architecture", "hypermodel", "--float32"],
    "boneage residual (default)": ["--architecture", "residual"],
}
KERAS = {
    "": [],
    ", augmentation": ["--augmented"],
    ", mixed_bfloat16": ["--bf16"],
}
BACKENDS = ("tensorflow", "jax", "torch")


def make_images(data: str | None, count: int, folder: Path) -> tuple[Path, Path]:
    """Prepared images and labels as files that both sides read."""
    from boneage import Data
    from boneage.radiographs.phantom import write_phantom_dataset

    source = Data(data or write_phantom_dataset(folder / "phantoms", count, seed=0))
    prepared = source.subset([record.id for record in source.records[:count]]).prepare()
    images, labels = folder / "images.npy", folder / "labels.npz"
    np.save(images, prepared.images[:])
    np.savez(labels, sexes=prepared.sexes, months=prepared.bone_ages_months)
    return images, labels


def own_side(arguments: argparse.Namespace) -> None:
    """Train with boneage and print a line of JSON like ``keras_hypermodel.py`` does."""
    import torch

    from boneage.dataset.prepared import PreparedData
    from boneage.network.build import build_network
    from boneage.training.fit import fit
    from boneage.training.settings import TrainingSettings

    labels = np.load(arguments.labels)
    images = np.load(arguments.images, mmap_mode="r")
    data = PreparedData(
        images=images,
        ids=tuple(str(row) for row in range(len(images))),
        sexes=labels["sexes"],
        bone_ages_months=labels["months"],
    )
    settings = TrainingSettings().updated(
        architecture=arguments.architecture,
        epochs=1 + arguments.epochs,
        patience=0,
        device="cpu",
        precision="float32" if arguments.float32 else "auto",
    )
    if arguments.plain:
        off = dict.fromkeys(settings.augmentation.to_dict(), 0.0)
        settings = settings.updated(augmentation=off)
    with tempfile.TemporaryDirectory() as run, contextlib.redirect_stdout(io.StringIO()):
        # Two images validate, because a run must; they cost less than 1 % of an epoch.
        result = fit(settings, data, data.subset(data.ids[:2]), Path(run))
    network = build_network(settings.network, size_px=settings.size_px)
    print(
        json.dumps(
            {
                "seconds": [row["seconds"] for row in result.history[1:]],
                "parameters": sum(p.numel() for p in network.parameters()),
                "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                "versions": f"torch {torch.__version__}",
            }
        )
    )


def contenders(arguments: argparse.Namespace) -> Iterator[tuple[str, list[str], dict[str, str]]]:
    """Name, command and environment of each."""
    here = Path(__file__).resolve()
    for name, options in OWN.items():
        yield name, [sys.executable, str(here), "--own", *options], {}
    if arguments.keras_python is None:
        return
    for backend in BACKENDS:
        probe = [arguments.keras_python, "-c", f"import keras, {backend}"]
        if subprocess.run(probe, capture_output=True, check=False).returncode:
            print(f"Keras on {backend}: not installed, left out", file=sys.stderr)
            continue
        # The variants are for the backend that comes first: it is the fastest.
        variants = KERAS if backend == BACKENDS[0] else {"": []}
        for suffix, options in variants.items():
            command = [arguments.keras_python, str(here.with_name("keras_hypermodel.py")), *options]
            yield f"Keras on {backend}{suffix}", command, {"KERAS_BACKEND": backend}


def run_once(command: list[str], env: dict[str, str], files: tuple[Path, Path], epochs: int) -> Any:
    """Figures of one process, or None if it failed."""
    done = subprocess.run(
        [*command, "--images", str(files[0]), "--labels", str(files[1]), "--epochs", str(epochs)],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **env},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        print(done.stderr[-800:], file=sys.stderr)
        return None
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keras-python", help="Python of the environment that has Keras")
    parser.add_argument("--data", help="data folder; phantoms without it")
    parser.add_argument("--count", type=int, default=1024, help="images in an epoch")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=1, help="timed epochs, after one that is not")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="only these contenders")
    parser.add_argument("--own", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--architecture", default="hypermodel", help=argparse.SUPPRESS)
    parser.add_argument("--plain", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--float32", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--images", help=argparse.SUPPRESS)
    parser.add_argument("--labels", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.own:
        own_side(arguments)
        return
    with tempfile.TemporaryDirectory() as folder:
        files = make_images(arguments.data, arguments.count, Path(folder))
        taking_part = [
            item
            for item in contenders(arguments)
            if arguments.only is None or item[0] in arguments.only
        ]
        speeds: dict[str, list[float]] = {name: [] for name, _, _ in taking_part}
        facts: dict[str, Any] = {}
        for turn in range(arguments.rounds):
            for name, command, env in taking_part:
                figures = run_once(command, env, files, arguments.epochs)
                if figures is None:
                    continue
                facts[name] = figures
                speeds[name] += [arguments.count / seconds for seconds in figures["seconds"]]
                print(f"round {turn + 1}: {name}: {speeds[name][-1]:.1f} images/s", file=sys.stderr)
    print(f"{'':38s}  images/s   min    max  peak MiB  parameters")
    for name, values in speeds.items():
        if values:
            low, middle, high = min(values), statistics.median(values), max(values)
            peak, parameters = facts[name]["peak_rss_mib"], facts[name]["parameters"]
            print(f"{name:38s}  {middle:8.1f} {low:6.1f} {high:6.1f}  {peak:8.0f}  {parameters:,}")
    print("; ".join(sorted({figures["versions"] for figures in facts.values()})))


if __name__ == "__main__":
    main()
