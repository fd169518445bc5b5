"""Prepared images with their labels, ready for a network and too many for memory."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from boneage.dataset.records import Discard, describe_discards, write_discarded
from boneage.errors import InputError, SettingsError

__all__ = ["PreparedData", "PreparedImages"]


class PreparedImages:
    """Some rows of a memory-mapped array of images, in a chosen order.

    It behaves like an array of shape (N, S, S) and dtype uint8. What indexing returns is a copy,
    so it may be changed; nothing else is copied, not even when it is sent to another process.
    """

    dtype = np.dtype(np.uint8)
    ndim = 3

    def __init__(self, path: str | os.PathLike[str], rows: NDArray[np.int64]) -> None:
        """Open a file.

        Args:
            path: A ``.npy`` file of shape (M, S, S), dtype uint8.
            rows: Which rows of the file, shape (N,).
        """
        self.path = Path(path)
        self.rows = np.asarray(rows, dtype=np.int64)

    @cached_property
    def _file(self) -> NDArray[np.uint8]:
        array: NDArray[np.uint8] = np.load(self.path, mmap_mode="r", allow_pickle=False)
        return array

    def __reduce__(self) -> tuple[Any, ...]:
        return (PreparedImages, (self.path, self.rows))

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of images, height and width in pixels."""
        return (len(self.rows), *self._file.shape[1:])

    def __getitem__(self, index: Any) -> NDArray[np.uint8]:
        """Copy one image (an integer) or several (a slice, a list, an array)."""
        return np.array(self._file[self.rows[index]])

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        return (self[index] for index in range(len(self)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("Prepared images are on disk: an array of them is a copy.")
        return self[:].astype(dtype or self.dtype, copy=False)

    def take(self, rows: NDArray[np.int64]) -> "PreparedImages":
        """Choose rows of these rows, without reading an image."""
        return PreparedImages(self.path, self.rows[rows])


@dataclass(frozen=True, eq=False)
class PreparedData:
    """Prepared images and labels, row by row.

    Attributes:
        images: Shape (N, S, S), uint8: 255 times the prepared grey value, rounded.
        ids: Ids of the radiographs, N of them.
        sexes: 1.0 for male and 0.0 for female, shape (N,), float32.
        bone_ages_months: Bone ages in months, shape (N,), float32.
        discarded: Everything that was left out on the way from the folder to here: what had no
            partner, and what could not be read or prepared.
    """

    images: PreparedImages | NDArray[np.uint8]
    ids: tuple[str, ...]
    sexes: NDArray[np.float32]
    bone_ages_months: NDArray[np.float32]
    discarded: tuple[Discard, ...] = ()
    _row_by_id: dict[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        lengths = {len(self.images), len(self.ids), len(self.sexes), len(self.bone_ages_months)}
        if len(lengths) != 1:
            raise SettingsError(
                "images, ids, sexes and bone_ages_months must be equally long; they have "
                f"{len(self.images)}, {len(self.ids)}, {len(self.sexes)} and "
                f"{len(self.bone_ages_months)} entries."
            )
        if self.images.dtype != np.uint8 or self.images.ndim != 3:
            raise SettingsError("Prepared images must be uint8 and of shape (N, S, S).")
        object.__setattr__(self, "_row_by_id", {name: row for row, name in enumerate(self.ids)})

    def __len__(self) -> int:
        return len(self.ids)

    def rows_of(self, ids: Iterable[str]) -> NDArray[np.int64]:
        """Row numbers of some radiographs, in the order of ``ids``.

        Ids that were discarded have no row and are passed over.

        Raises:
            InputError: An id is neither here nor among the discards.
        """
        wanted = list(ids)
        absent = [name for name in wanted if name not in self._row_by_id]
        if absent and (unknown := set(absent) - {item.id for item in self.discarded}):
            examples = ", ".join(sorted(unknown)[:3])
            raise InputError(f"{len(unknown):,} ids are not in the prepared data, as {examples}.")
        found = [self._row_by_id[name] for name in wanted if name in self._row_by_id]
        return np.array(found, dtype=np.int64)

    def subset(self, ids: Iterable[str]) -> "PreparedData":
        """The part that consists of ``ids``, in this data's order; no image is copied.

        Raises:
            InputError: An id is neither here nor among the discards.
        """
        rows = np.unique(self.rows_of(ids))
        images = self.images
        return PreparedData(
            images=images.take(rows) if isinstance(images, PreparedImages) else images[rows],
            ids=tuple(self.ids[row] for row in rows),
            sexes=self.sexes[rows],
            bone_ages_months=self.bone_ages_months[rows],
            discarded=self.discarded,
        )

    def summary(self) -> str:
        """One line for the screen: how many are prepared, how many were left out and why."""
        return f"{len(self):,} radiographs prepared; {describe_discards(self.discarded)}"

    def write_discarded(self, path: str | os.PathLike[str]) -> None:
        """Write everything that was left out as a CSV: ``id,path,reason,detail``.

        Raises:
            OutputError: The system refused to write.
        """
        write_discarded(path, self.discarded)
