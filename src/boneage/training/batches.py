"""Whole batches straight from the memory-mapped images.

A sampler yields lists of positions, the data set turns each list into one batch with a single
gather, so that no radiograph is handled on its own in Python.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from boneage.dataset.prepared import PreparedData

__all__ = ["Batch", "epoch_seed", "make_loader"]

Batch = dict[str, Tensor]


def epoch_seed(seed: int, epoch: int, purpose: int) -> int:
    """A seed for one purpose in one epoch, so that a resumed epoch draws what it drew before."""
    return int(np.random.SeedSequence([seed, epoch, purpose]).generate_state(1, np.uint64)[0] >> 1)


class _BatchSampler(Sampler[list[int]]):
    """Yields lists of row numbers; shuffled anew each epoch if asked."""

    def __init__(self, count: int, batch_size: int, *, shuffle: bool, seed: int) -> None:
        self._count = count
        self._batch_size = batch_size
        self._shuffle = shuffle
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning at the start of every epoch."""
        self._epoch = epoch

    def __iter__(self) -> Iterator[list[int]]:
        order = np.arange(self._count)
        if self._shuffle:
            np.random.default_rng([self._seed, self._epoch]).shuffle(order)
        for start in range(0, self._count, self._batch_size):
            chosen = order[start : start + self._batch_size]
            # A last batch of one has no batch statistics to normalise by.
            if len(chosen) > 1 or not self._shuffle or self._count == 1:
                yield chosen.tolist()

    def __len__(self) -> int:
        whole, rest = divmod(self._count, self._batch_size)
        dropped = rest == 1 and self._shuffle and self._count > 1
        return whole + (rest > 0) - dropped


class _BatchDataset(Dataset[Batch]):
    """Gathers a batch by a list of row numbers."""

    def __init__(self, data: PreparedData) -> None:
        self._data = data

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, rows: list[int]) -> Batch:
        # Within a batch the order is free, and file order spares the disk when the map is larger
        # than memory.
        chosen = np.sort(rows)
        return {
            "image": torch.from_numpy(self._data.images[chosen])[:, None],
            "sex": torch.from_numpy(self._data.sexes[chosen]),
            "months": torch.from_numpy(self._data.bone_ages_months[chosen]),
        }


def make_loader(
    data: PreparedData, batch_size: int, *, shuffle: bool, seed: int = 0
) -> DataLoader[Batch]:
    """A loader of whole batches: ``image`` uint8 (N, 1, S, S), ``sex`` and ``months`` (N,).

    Args:
        data: Prepared radiographs with labels.
        batch_size: Radiographs in a batch.
        shuffle: Draw the order anew each epoch, from ``seed`` and the epoch's number.
        seed: Fixes the orders.
    """
    sampler = _BatchSampler(len(data), batch_size, shuffle=shuffle, seed=seed)
    # A generator of its own: a loader draws a number when it is iterated, and a resumed epoch is
    # iterated before it is seeded, which would shift every number drawn for the dropout.
    return DataLoader(
        _BatchDataset(data), sampler=sampler, batch_size=None, generator=torch.Generator()
    )
