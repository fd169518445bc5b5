"""Weights that a training starts from: those of a model that was trained before."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load
from torch import Tensor

from boneage.dataset.splits import read_folds
from boneage.errors import InputError, TrainingError
from boneage.inference.bundle import Bundle
from boneage.network.build import BoneAgeNetwork
from boneage.training.run_folder import FOLDS_FILE, digest, fold_folder

__all__ = ["Start", "check_same_folds", "folds_digest", "read_start"]


@dataclass(frozen=True, eq=False)
class Start:
    """Trained weights.

    Attributes:
        path: The bundle that they were read from.
        tensors: The weights by their names in the network.
        sha256: Digest over all of them, for ``config.json``.
    """

    path: Path
    tensors: Mapping[str, Tensor]
    sha256: str

    def load_into(self, network: BoneAgeNetwork) -> None:
        """Put the weights into a network of the same shape.

        A region that they do not know starts from the weights of the first that they know.

        Raises:
            TrainingError: The network is another one.
        """
        tensors = {name: value.float() for name, value in self.tensors.items()}
        known = [p for p in network.prefixes if any(name.startswith(p) for name in self.tensors)]
        for prefix in network.prefixes:
            if known and prefix not in known:
                tensors |= {
                    prefix + name.removeprefix(known[0]): value
                    for name, value in tensors.items()
                    if name.startswith(known[0])
                }
        try:
            network.load_state_dict(tensors)
        except RuntimeError as error:
            raise TrainingError(
                f"The weights of {self.path} do not fit the network that is to be trained: "
                f"{str(error).splitlines()[-1].strip()} Give the network settings of that model."
            ) from error


def read_start(path: Path, fold: int | None = None) -> Start:
    """Read the weights of one network.

    Args:
        path: A bundle, or the run folder of a training or of a cross-validation.
        fold: The fold, from 1, whose network is meant; None if there is one network only.

    Returns:
        Its weights.

    Raises:
        BundleError: There is no bundle, or it is damaged.
        InputError: The bundle has no weights to train on, or none for this fold.
    """
    bundle = Bundle.open(_bundle_of(path, fold))
    content = bundle.read_weights()
    if content is None:
        raise InputError(
            f"{bundle.path} holds no weights.safetensors, so nothing can be trained on from it. "
            "Start from a run folder or from a bundle with weights."
        )
    tensors = load(content)
    if any(name.startswith(_MEMBERS) for name in tensors):
        if fold is None:
            raise InputError(
                f"{bundle.path} is an ensemble, and training goes on from one network. Use "
                "crossval --start-from, or give the bundle of one fold."
            )
        prefix = f"{_MEMBERS}{fold - 1}."
        tensors = {
            name.removeprefix(prefix): value
            for name, value in tensors.items()
            if name.startswith(prefix)
        }
        if not tensors:
            raise InputError(f"{bundle.path} has no network for fold {fold}.")
    return Start(bundle.path, tensors, _digest(tensors))


def check_same_folds(path: Path, fold_of: Mapping[str, int]) -> None:
    """Refuse networks of other folds: they have learned from what is to be held out.

    Args:
        path: What :func:`read_start` is given.
        fold_of: Fold (from 1) by id.

    Raises:
        InputError: The folds are others, or nothing says which they were.
        BundleError: There is no bundle, or it is damaged.
    """
    table = path / FOLDS_FILE
    if table.is_file():
        theirs: Any = folds_digest(read_folds(table))
    else:
        theirs = Bundle.open(_bundle_of(path, None)).card.trained_on.get("folds_sha256")
    if theirs != folds_digest(fold_of):
        raise InputError(
            f"--start-from {path}: its networks were trained on other folds, so they have seen "
            "what these folds hold out. Use the same data, --split, --folds and --seed."
        )


def folds_digest(fold_of: Mapping[str, int]) -> str:
    """SHA-256 over ids and folds, whatever their order."""
    return digest(f"{name}\t{fold}" for name, fold in fold_of.items())


_MEMBERS = "members."


def _bundle_of(path: Path, fold: int | None) -> Path:
    """The bundle that a path means: of a fold, of a run, or the path itself."""
    if fold is not None and fold_folder(path, fold).is_dir():
        return fold_folder(path, fold) / "bundle"
    return path / "bundle" if (path / "bundle").is_dir() else path


def _digest(tensors: Mapping[str, Tensor]) -> str:
    sha256 = hashlib.sha256()
    for name in sorted(tensors):
        sha256.update(name.encode())
        sha256.update(tensors[name].contiguous().numpy().tobytes())
    return sha256.hexdigest()
