"""Who a result is: UIDs that the same source, model and settings give again.

A result that is made or sent twice is then one result in an archive, not two. The UIDs are UUIDs
under ``2.25`` (PS3.5 B.2), made from names (RFC 9562, version 5): no registered root is needed.
"""

import hashlib
import json
import uuid
from dataclasses import asdict, dataclass

from pydicom.dataset import Dataset

from boneage import __version__
from boneage.growth.sds import Norm
from boneage.inference.card import Card
from boneage.inference.rows import Row
from boneage.reports.child_request import Facts

__all__ = ["Outcome", "named_uid"]

# Drawn once; another one would give every result another UID.
_NAMESPACE = uuid.UUID("6f4ad0c2-8a51-4c0e-9b83-2f1f6c1d7e95")


def named_uid(*names: str) -> str:
    """The UID that always belongs to these names, 44 characters at most."""
    return f"2.25.{uuid.uuid5(_NAMESPACE, json.dumps(names)).int}"


@dataclass(frozen=True)
class Outcome:
    """One answer to one radiograph.

    Attributes:
        row: The row of the radiograph.
        card: Card of the model.
        level: Level of the interval; None if the model has none.
        facts: What is known of the child.
        norm: Whose spread counts as normal.
    """

    row: Row
    card: Card
    level: float | None
    facts: Facts
    norm: Norm

    def digest(self) -> str:
        """A hash of all that the content of a result comes from, but for the source and the clock.

        The answer is part of it: two contents never share a UID, even where something that is no
        setting made them differ. The file's name is not part of it.
        """
        row = self.row.values()
        parts = {
            "boneage": __version__,
            "model": [self.card.name, self.card.version, dict(self.card.files)],
            "level": self.level,
            "facts": asdict(self.facts),
            "norm": self.norm.value,
            "row": {name: value for name, value in row.items() if name not in ("path", "id")},
        }
        text = json.dumps(parts, sort_keys=True)
        return hashlib.sha256(text.encode("utf-8", errors="surrogatepass")).hexdigest()

    def uid(self, source: Dataset, kind: str) -> str:
        """The UID of something that is made from this answer.

        Args:
            source: The header of the radiograph.
            kind: What it is, as ``report`` or ``series of the report``.
        """
        names = source.StudyInstanceUID, source.SeriesInstanceUID, source.SOPInstanceUID
        return named_uid(kind, *map(str, names), self.digest())
