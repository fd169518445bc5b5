"""Who trains and who validates: read from a table, or drawn evenly over sex and age.

A drawn split depends on the ids and the seed only: the order of the records does not matter, and
neither does the version of a random number generator, because the draw is a hash of seed and id.
"""

import hashlib
import os
from collections.abc import Iterable, Sequence
from itertools import pairwise

from boneage.dataset.records import Record
from boneage.dataset.tables import ID_KEYS, column_key, read_table
from boneage.errors import LabelsError, SettingsError
from boneage.radiographs.radiograph import Sex

__all__ = ["read_folds", "read_split", "stratified_folds", "stratified_split"]

_PARTS = {
    "train": "train", "training": "train",
    "val": "validation", "valid": "validation", "validation": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip
_PART_KEYS = frozenset({"split", "part", "set"})
_FOLD_KEYS = frozenset({"fold"})


def read_split(path: str | os.PathLike[str]) -> dict[str, str]:
    """Read which radiograph belongs to which part.

    Args:
        path: A table with the columns ``id`` and ``split`` (or ``part``, as in a run's
            ``data.csv``); the words are train, val or validation, and test, in any case.

    Returns:
        Part by id: ``train``, ``validation`` or ``test``.

    Raises:
        LabelsError: The file cannot be read, lacks a column, has a word that is no part, or puts
            one id into two parts.
    """
    table = read_table(path)
    keys = [column_key(name) for name in table.header]
    id_columns = [at for at, key in enumerate(keys) if key in ID_KEYS]
    part_columns = [at for at, key in enumerate(keys) if key in _PART_KEYS]
    if len(id_columns) != 1 or len(part_columns) != 1:
        found = ", ".join(repr(name) for name in table.header)
        raise LabelsError(
            f"{table.path} is no split: it needs one column 'id' and one column 'split'; "
            f"its columns are {found}."
        )
    parts: dict[str, str] = {}
    lines: dict[str, int] = {}
    for (line, cells), row_id in zip(table.rows, table.ids(id_columns[0]), strict=True):
        word = cells[part_columns[0]]
        part = _PARTS.get(word.lower())
        if part is None or not row_id:
            raise LabelsError(
                f"{table.path}, line {line}: an id and one of train, validation or test are "
                f"needed, not {row_id!r} and {word!r}."
            )
        if parts.setdefault(row_id, part) != part:
            raise LabelsError(
                f"{table.path} puts {row_id} into {parts[row_id]} (line {lines[row_id]}) and into "
                f"{part} (line {line}): keep one of the two."
            )
        lines.setdefault(row_id, line)
    return parts


def read_folds(path: str | os.PathLike[str]) -> dict[str, int]:
    """Read which fold each radiograph belongs to.

    Args:
        path: A table with the columns ``id`` and ``fold``, as in a cross-validation's
            ``folds.csv``.

    Returns:
        Fold, from 1, by id.

    Raises:
        LabelsError: The file cannot be read, lacks a column, or has a fold that is no number
            from 1 on.
    """
    table = read_table(path)
    id_column, fold_column = table.find(ID_KEYS), table.find(_FOLD_KEYS)
    if id_column is None or fold_column is None:
        raise LabelsError(f"{table.path} needs one column 'id' and one column 'fold'.")
    folds: dict[str, int] = {}
    for (line, cells), row_id in zip(table.rows, table.ids(id_column), strict=True):
        word = cells[fold_column]
        if not (word.isascii() and word.isdigit() and int(word) > 0):
            raise LabelsError(f"{table.path}, line {line}: {word!r} is no fold from 1 on.")
        folds[row_id] = int(word)
    return folds


def stratified_split(
    records: Iterable[Record], fraction: float, seed: int = 0
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Draw a validation part that has the sexes and ages of the whole.

    Each sex is sorted by bone age and cut into as many equal stretches as it is to give
    validation radiographs; one of each stretch is drawn.

    Args:
        records: At least two.
        fraction: Share that validates, above 0 and below 1. Either part gets at least one record.
        seed: Another seed draws another part.

    Returns:
        Ids that train and ids that validate, each sorted.

    Raises:
        SettingsError: ``fraction`` is out of its range, or there are fewer than two records.
    """
    if not 0 < fraction < 1:
        raise SettingsError(f"The validation fraction must be above 0 and below 1, not {fraction}.")
    ordered = sorted(records, key=lambda record: record.id)
    if len(ordered) < 2:
        raise SettingsError(f"A split needs at least 2 radiographs, not {len(ordered)}.")
    wanted = min(max(round(fraction * len(ordered)), 1), len(ordered) - 1)
    females = [record for record in ordered if record.sex is Sex.FEMALE]
    males = [record for record in ordered if record.sex is Sex.MALE]
    wanted_females = round(wanted * len(females) / len(ordered))
    chosen = {
        *_draw_over_ages(females, wanted_females, seed),
        *_draw_over_ages(males, wanted - wanted_females, seed),
    }
    train = tuple(record.id for record in ordered if record.id not in chosen)
    return train, tuple(sorted(chosen))


def stratified_folds(records: Iterable[Record], k: int, seed: int = 0) -> dict[str, int]:
    """Deal records into ``k`` folds that have the sexes and ages of the whole.

    Records are sorted by sex and bone age; every ``k`` that follow one another go into ``k``
    different folds. Fold sizes differ by at most one.

    Args:
        records: At least ``k``.
        k: Number of folds, 2 or more.
        seed: Another seed deals otherwise.

    Returns:
        Fold (0 to k - 1) by id, in the order of the ids.

    Raises:
        SettingsError: ``k`` is below 2 or above the number of records.
    """
    ordered = sorted(records, key=lambda item: (item.sex, item.bone_age_months, item.id))
    if not 2 <= k <= len(ordered):
        raise SettingsError(
            f"The number of folds must be from 2 to the number of radiographs "
            f"({len(ordered):,}), not {k}."
        )
    folds: dict[str, int] = {}
    for start in range(0, len(ordered), k):
        block = [record.id for record in ordered[start : start + k]]
        turn = _lot(seed, f"block {start}") % k if len(block) < k else 0
        for place, record_id in enumerate(sorted(block, key=lambda item: _lot(seed, item))):
            folds[record_id] = (place + turn) % k
    return dict(sorted(folds.items()))


def _draw_over_ages(records: Sequence[Record], count: int, seed: int) -> list[str]:
    """Ids of ``count`` of the records, one from each of ``count`` equal stretches of age."""
    by_age = sorted(records, key=lambda record: (record.bone_age_months, record.id))
    edges = [step * len(by_age) // count for step in range(count + 1)] if count else []
    return [
        min((record.id for record in by_age[start:stop]), key=lambda item: _lot(seed, item))
        for start, stop in pairwise(edges)
    ]


def _lot(seed: int, name: str) -> int:
    """A number drawn for ``name``: the same for the same seed, on every machine."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:8], "big")
