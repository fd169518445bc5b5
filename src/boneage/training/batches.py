"""Whole batches straight from the memory-mapped images.

A sampler yields lists of positions, the data set turns each list into one batch with a single
gather, so that no radiograph is handled on its own in Python. Where several processes train
together, each takes its slice of the same batch.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from boneage.dataset.prepared import PreparedData

__all__ = ["Batch", "epoch_seed", "make_loader"]

Batch = dict[str, Tensor]


def epoch_seed(seed: int, epoch: int, purpose: int, rank: int = 0) -> int:
    """A seed for one purpose in one epoch, so that a resumed epoch draws what it drew before.

    Args:
        seed: That of the settings.
        epoch: Number of the epoch, from 0.
        purpose: What is drawn.
        rank: The process; each has a stream of its own, and the first one that of a process which
            trains alone.
    """
    words = [seed, epoch, purpose, rank] if rank else [seed, epoch, purpose]
    return int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0] >> 1)


class _Slice(NamedTuple):
    """The rows of a batch that this process takes, and how many all take together."""

    rows: list[int]
    whole: int


class _BatchSampler(Sampler[_Slice]):
    """Yields slices of batches; shuffled anew each epoch if asked."""

    def __init__(
        self, count: int, batch_size: int, *, shuffle: bool, seed: int, rank: int, ranks: int
    ) -> None:
        self._count = count
        self._batch_size = batch_size
        self._shuffle = shuffle
        self._seed = seed
        self._epoch = 0
        self._rank = rank
        self._ranks = ranks

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning at the start of every epoch."""
        self._epoch = epoch

    def __iter__(self) -> Iterator[_Slice]:
        order = np.arange(self._count)
        if self._shuffle:
            np.random.default_rng([self._seed, self._epoch]).shuffle(order)
        for start in range(0, self._count, self._batch_size):
            chosen = order[start : start + self._batch_size]
            if self._is_enough(len(chosen)):
                yield _Slice(chosen[self._rank :: self._ranks].tolist(), len(chosen))

    def __len__(self) -> int:
        whole, rest = divmod(self._count, self._batch_size)
        return whole + (rest > 0 and self._is_enough(rest))

    def _is_enough(self, count: int) -> bool:
        """Whether every process gets two: a slice of one has no batch statistics to normalise by.

        Where nothing is learned, a slice may be empty; each process still takes it, because they
        wait for each other.
        """
        return not self._shuffle or count >= 2 * self._ranks or self._count == 1


class _BatchDataset(Dataset[Batch]):
    """Gathers the rows of a slice."""

    def __init__(self, data: PreparedData) -> None:
        self._data = data

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, part: _Slice) -> Batch:
        # Within a batch the order is free, and file order spares the disk when the map is larger
        # than memory.
        chosen = np.sort(np.array(part.rows, dtype=np.int64))
        return {
            "image": torch.from_numpy(self._data.images[chosen])[:, None],
            "sex": torch.from_numpy(self._data.sexes[chosen]),
            "months": torch.from_numpy(self._data.bone_ages_months[chosen]),
            "whole": torch.tensor(part.whole),
        }


def make_loader(
    data: PreparedData,
    batch_size: int,
    *,
    shuffle: bool,
    seed: int = 0,
    rank: int = 0,
    ranks: int = 1,
) -> DataLoader[Batch]:
    """A loader of whole batches: ``image`` uint8 (N, 1, S, S), ``sex`` and ``months`` (N,).

    ``whole``, a number, says how many radiographs the processes take together in this step.

    Args:
        data: Prepared radiographs with labels.
        batch_size: Radiographs in a batch, of all processes together.
        shuffle: Draw the order anew each epoch, from ``seed`` and the epoch's number.
        seed: Fixes the orders.
        rank: The process, from 0.
        ranks: Processes that take their slices of each batch.
    """
    sampler = _BatchSampler(
        len(data), batch_size, shuffle=shuffle, seed=seed, rank=rank, ranks=ranks
    )
    # A generator of its own: a loader draws a number when it is iterated, and a resumed epoch is
    # iterated before it is seeded, which would shift every number drawn for the dropout.
    return DataLoader(
        _BatchDataset(data), sampler=sampler, batch_size=None, generator=torch.Generator()
    )
