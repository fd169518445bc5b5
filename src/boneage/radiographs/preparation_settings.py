"""How radiographs are prepared: the settings that a cache, a run and a card share."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from boneage.errors import SettingsError
from boneage.radiographs.crop import MARGIN, check_margin
from boneage.radiographs.geometry import REDUCTIONS, check_size

__all__ = ["ADDED_LATER", "MIN_SIDE_PX", "PreparationSettings"]

MIN_SIDE_PX = 32
"""Radiographs with a shorter side than this show no growth plate and are refused."""

ADDED_LATER = frozenset({"level_tone"})
"""Settings that models of earlier releases do not name: their default is what was done then."""


@dataclass(frozen=True)
class PreparationSettings:
    """How radiographs are prepared; a model must be given what it was trained on.

    Attributes:
        size_px: Side of the prepared square in pixels, 16 to 4096.
        crop: Cut the hand out; otherwise the whole radiograph is used.
        margin: Space kept around the hand, as a share of its longer side, 0 to 0.5.
        reduce_to: Short side that larger radiographs are first reduced to, as a share of
            ``size_px``, 0 (off) to 8. A network that has learned from coarse images is given coarse
            images: with ``size_px`` 128 and 0.78125, whatever is wider than 100 px.
        reduce_by: How they are reduced: ``means`` or ``samples`` (see ``geometry.reduce_to``).
        stretch: Let the hand rather than the marker letter set the grey scale: within the crop,
            its background becomes 0 and its brightest bone 1 (see ``stretch`` in ``intensity``).
        level_tone: Look for the hand on a copy of middling tone, so that a dark or a light print of
            the same film is cut out alike (see ``crop``). Off in models of before it was there.
    """

    size_px: int = 256
    crop: bool = True
    margin: float = MARGIN
    stretch: bool = True
    reduce_to: float = 0.0
    reduce_by: str = "means"
    level_tone: bool = False

    def __post_init__(self) -> None:
        check_size(self.size_px)
        for name in ("crop", "stretch", "level_tone"):
            if not isinstance(getattr(self, name), bool):
                raise SettingsError(
                    f"--{name.replace('_', '-')} is on or off, not {getattr(self, name)!r}."
                )
        number = isinstance(self.margin, (int, float)) and not isinstance(self.margin, bool)
        if not number:
            raise SettingsError(f"--margin must be a number within 0 to 0.5, not {self.margin!r}.")
        check_margin(self.margin)
        share = self.reduce_to
        number = isinstance(share, (int, float)) and not isinstance(share, bool)
        if not number or not (
            share == 0 or MIN_SIDE_PX <= share * self.size_px <= 8 * self.size_px
        ):
            raise SettingsError(
                f"reduce_to must be 0 or a share of the size, up to 8, that leaves {MIN_SIDE_PX} "
                f"px or more; not {share!r}."
            )

        if self.reduce_by not in REDUCTIONS:
            raise SettingsError(
                f"reduce_by must be one of {', '.join(REDUCTIONS)}, not {self.reduce_by!r}."
            )

    @property
    def short_side_px(self) -> int:
        """Short side that larger radiographs are first reduced to, in pixels; 0 for none."""
        return round(self.reduce_to * self.size_px)

    def at_size(self, size_px: int) -> "PreparationSettings":
        """The same for another size: larger radiographs are first reduced to the same side.

        Raises:
            SettingsError: The size is out of range, or ``reduce_to`` would be.
        """
        share = self.reduce_to * self.size_px / size_px if size_px > 0 else self.reduce_to
        return dataclasses.replace(self, size_px=size_px, reduce_to=share)

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain values, for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "PreparationSettings":
        """Read back what :meth:`to_dict` gave; keys left out take their defaults.

        Raises:
            SettingsError: A key is unknown or a value out of range.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise SettingsError(
                f"Unknown preparation settings {', '.join(map(repr, unknown))}: "
                f"known are {', '.join(sorted(known))}. A newer boneage may have written them."
            )
        return cls(**values)
