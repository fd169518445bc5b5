"""``Data``: a folder of radiographs and a label table, paired."""

import copy
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from boneage.dataset.building import build_or_open
from boneage.dataset.cache import cache_folder, cache_key, open_finished
from boneage.dataset.labels import read_labels
from boneage.dataset.layout import Places, find_places, list_images
from boneage.dataset.pairing import pair
from boneage.dataset.prepared import PreparedData, PreparedImages
from boneage.dataset.records import Discard, Record, describe_discards, write_discarded
from boneage.dataset.splits import read_split, stratified_split
from boneage.errors import InputError, LabelsError, SettingsError
from boneage.radiographs.preparation import PreparationSettings
from boneage.radiographs.radiograph import Sex

__all__ = ["Data"]

_STANDARD = PreparationSettings()


class Data:
    """Radiographs with their labels, and what was left out and why.

    Making one reads the label table and the names of the images. The images themselves are read
    by :meth:`prepare`. A ``Data`` does not change; subsets and splits are new ones that share
    their folder's discards.

    Attributes:
        preparation: How images are prepared, or None to take them as they are.
        cache: Folder of prepared images, or None for the user's.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        images: str | os.PathLike[str] | None = None,
        labels: str | os.PathLike[str] | None = None,
        preparation: PreparationSettings | None = _STANDARD,
        cache: str | os.PathLike[str] | None = None,
    ) -> None:
        """Pair the images and labels of a folder.

        Args:
            folder: A folder with one images folder (or images) and one label table, or with
                ``Training/``, ``Test/``, ``training.csv`` and ``test.csv``.
            images: The images folder, where it is elsewhere or several could be meant.
            labels: The label table, likewise.
            preparation: How images are prepared; None switches it off: they must then be square,
                of one size, and keep their grey values.
            cache: Folder for prepared images; by default ``$BONEAGE_CACHE``, else the user's
                cache folder.

        Raises:
            NoInputError: There is no such folder, or there are no images in it.
            InputError: Several folders with images could be meant.
            LabelsError: No table, or several, could be the labels; it contradicts itself; or it
                has no label for any image.
        """
        places = find_places(folder, images, labels)
        self._set_up(places, preparation, None if cache is None else Path(cache).absolute())

    def _set_up(
        self, places: Places, preparation: PreparationSettings | None, cache: Path | None
    ) -> None:
        table = read_labels(places.labels)
        self.preparation = preparation
        self.cache = cache
        self._places = places
        self._paired, self._discarded = pair(list_images(places.images), table, places.images)
        self._records = self._paired
        self._note = ""
        self._test: Data | None = None
        if places.test is not None:
            self._test = Data.__new__(Data)
            self._test._set_up(places.test, preparation, cache)

    @property
    def records(self) -> tuple[Record, ...]:
        """The radiographs with their labels, sorted by id."""
        return self._records

    @property
    def discarded(self) -> tuple[Discard, ...]:
        """What the folder has that could not be paired, with the reason.

        Images that turn out to be unreadable or unsuitable are found by :meth:`prepare`, whose
        result lists both.
        """
        return self._discarded

    @property
    def test(self) -> "Data | None":
        """The test part of the four-part layout, or None."""
        return self._test

    def __len__(self) -> int:
        return len(self._records)

    def __repr__(self) -> str:
        return f"<Data {self._places.images}: {self.summary()}>"

    def subset(self, ids: Iterable[str]) -> "Data":
        """The part that consists of ``ids``, sorted by id.

        Raises:
            InputError: An id is not in the data, or there are none.
        """
        return self._part(set(ids), "")

    def split(
        self,
        split_csv: str | os.PathLike[str] | None = None,
        fraction: float = 0.1,
        seed: int = 0,
    ) -> tuple["Data", "Data"]:
        """Divide into a part that trains and a part that validates.

        Args:
            split_csv: A table ``id,split`` that says who is in which part. Radiographs that it
                does not name, or names as test, are in neither; :meth:`summary` counts them.
            fraction: Without a table: share that validates, drawn so that sexes and ages are
                those of the whole. Above 0 and below 1.
            seed: Without a table: another seed draws another part.

        Returns:
            The training and the validation part.

        Raises:
            LabelsError: The table is none, or leaves a part empty.
            SettingsError: ``fraction`` is out of its range.
        """
        if split_csv is None:
            train, validation = stratified_split(self._records, fraction, seed)
            return self._part(set(train), ""), self._part(set(validation), "")
        parts = read_split(split_csv)
        name = Path(split_csv).name
        left_out = sum(1 for record in self._records if record.id not in parts)
        note = f"; {left_out:,} that {name} does not name left out" if left_out else ""
        both = []
        for part in ("train", "validation"):
            chosen = {record.id for record in self._records if parts.get(record.id) == part}
            if not chosen:
                raise LabelsError(
                    f"{split_csv} leaves the {part} part empty: none of the {len(self):,} "
                    f"radiographs is in it. Check its ids and words."
                )
            both.append(self._part(chosen, note))
        return both[0], both[1]

    def _part(self, ids: set[str], note: str) -> "Data":
        """A copy with some of the records."""
        unknown = ids - {record.id for record in self._records}
        if unknown or not ids:
            examples = ", ".join(sorted(unknown)[:3])
            what = f"{len(unknown):,} ids are not in the data, as {examples}" if ids else "No ids"
            raise InputError(f"Cannot choose a part of {len(self):,} radiographs: {what}.")
        part = copy.copy(self)
        part._records = tuple(record for record in self._records if record.id in ids)
        part._note = note
        return part

    def at_size(self, size_px: int) -> "Data":
        """The same radiographs, prepared as squares of another side.

        Args:
            size_px: Side in pixels.

        Returns:
            These radiographs; what is reduced first is reduced to the same short side as here.
            Without preparation this data itself: then the images are what they are.

        Raises:
            SettingsError: The size is out of range.
        """
        if self.preparation is None or size_px == self.preparation.size_px:
            return self
        other = copy.copy(self)
        other.preparation = self.preparation.at_size(size_px)
        other._test = None if self._test is None else self._test.at_size(size_px)
        return other

    def summary(self) -> str:
        """One line for the screen: how many were paired, how many were left out and why."""
        count = f"{len(self):,}"
        if len(self) < len(self._paired):
            count += f" of {len(self._paired):,}"
        text = f"{count} radiographs paired{self._note}; {describe_discards(self._discarded)}"
        return text if self._test is None else f"{text}. Test: {self._test.summary()}"

    def write_discarded(self, path: str | os.PathLike[str]) -> None:
        """Write :attr:`discarded` as a CSV: ``id,path,reason,detail``.

        Raises:
            OutputError: The system refused to write.
        """
        write_discarded(path, self._discarded)

    def prepare(self, *, workers: int | None = None, progress: bool = True) -> PreparedData:
        """Prepare the images, or find them prepared in the cache.

        Images that cannot be read or prepared become discards. A part that is at least half of
        its folder prepares all of it, so that parts do not prepare the same images again.

        Args:
            workers: Number of processes, 1 or more; by default one for each core.
            progress: Whether to show a bar, if standard error is a terminal.

        Returns:
            Images and labels in the order of :attr:`records`.

        Raises:
            SettingsError: ``workers`` is below 1.
            InputError: Preparation is off and the images are not square and of one size.
            NoInputError: Not one of the images could be prepared.
            OutputError: The cache cannot be written, or a worker was killed.
        """
        if workers is not None and workers < 1:
            raise SettingsError(f"--workers must be 1 or more, not {workers}.")
        root = cache_folder(self.cache)
        whole = cache_key(self._paired, self.preparation)
        share_whole = 2 * len(self) >= len(self._paired)
        found = open_finished(root, whole, self._paired)
        if found is None:
            found = build_or_open(
                root,
                self._paired if share_whole else self._records,
                self.preparation,
                workers=workers or _core_count(),
                progress=progress,
            )
        records = [record for record in self._records if record.id in found.row_by_id]
        rows = np.array([found.row_by_id[record.id] for record in records], dtype=np.int64)
        return PreparedData(
            images=PreparedImages(found.path, rows),
            ids=tuple(record.id for record in records),
            sexes=np.array([record.sex is Sex.MALE for record in records], dtype=np.float32),
            bone_ages_months=np.array(
                [record.bone_age_months for record in records], dtype=np.float32
            ),
            discarded=self._discarded + found.discarded,
        )


def _core_count() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
