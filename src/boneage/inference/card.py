"""The card of a model bundle: what the model is, what it was made from and what it may be used for.

``card.json`` is the readable half of a bundle. Reading is strict: a field that is missing, of the
wrong type or unknown is an error, because a field that is skipped in silence may be the one that
changes the numbers. A release that needs another field raises :data:`FORMAT_VERSION` and goes on
reading the older ones.
"""

import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from boneage import __version__
from boneage.errors import BundleError, SettingsError
from boneage.inference.intervals import Interval

__all__ = ["FORMAT_VERSION", "Card", "Interval"]

FORMAT_VERSION = 1
"""Version of the layout of ``card.json`` that this release writes, and the newest that it reads."""

_SEXES = ("female", "male")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Card:
    """What is known of a model; the content of ``card.json``.

    Attributes:
        name: Short name of the model, for rows, reports and error messages.
        preparation: The preparation settings that the model was trained with, as
            ``PreparationSettings.to_dict()`` gives them; None if preparation was off, so that the
            model takes square images of ``size_px`` as they are.
        preparation_version: ``PREPARATION_VERSION`` of the code that prepared the training
            images. Prediction with another one is refused.
        size_px: Side of the square input image in pixels, 16 to 4096.
        trained_on: What the model was trained on: any JSON object, such as
            ``{"data": "RSNA 2017", "count": 10611}``.
        figures: How well it does, with the data it was measured on: any JSON object, such as
            ``{"validation": {"count": 1000, "mae_months": 5.1}}``.
        interval: The prediction interval, or None if the model has none.
        sexes: The sexes that the model was trained for: ``female``, ``male`` or both.
        version: Version of the model, chosen by whoever trained it.
        licence: Licence of the weights, as an SPDX identifier or in words.
        terms: Terms that the training data puts on the use of the model; empty if none.
        intended_use: What the model is for.
        limits: What it is not for, and where it is known to fail.
        created: When the bundle was made: ISO 8601, UTC.
        boneage_version: The release of boneage that wrote the bundle.
        files: SHA-256 of each other file in the bundle, in hexadecimal, by its name.
            ``write_bundle`` fills it in.
        format_version: Version of the layout of the card.
    """

    name: str
    preparation: Mapping[str, Any] | None
    preparation_version: int
    size_px: int
    trained_on: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)
    interval: Interval | None = None
    sexes: tuple[str, ...] = _SEXES
    version: str = "1"
    licence: str = "not stated"
    terms: str = ""
    intended_use: str = "Research on bone age; not a medical device."
    limits: str = "Not stated."
    created: str = field(
        default_factory=lambda: datetime.now(UTC).replace(microsecond=0).isoformat()
    )
    boneage_version: str = __version__
    files: Mapping[str, str] = field(default_factory=dict)
    format_version: int = FORMAT_VERSION

    def __post_init__(self) -> None:
        for name in ("name", "version", "licence", "intended_use", "limits", "boneage_version"):
            _text(getattr(self, name), name)
        _text(self.terms, "terms", empty=True)
        if self.preparation is not None:
            _json_object(self.preparation, "preparation")
        for name in ("trained_on", "figures", "files"):
            _json_object(getattr(self, name), name)
        _whole(self.preparation_version, "preparation.version", 0, 1_000_000)
        _whole(self.size_px, "input.size_px", 16, 4096)
        _whole(self.format_version, "format_version", FORMAT_VERSION, FORMAT_VERSION)
        if self.interval is not None and not isinstance(self.interval, Interval):
            raise SettingsError("interval must be an Interval or None.")
        if (
            not self.sexes
            or set(self.sexes) - set(_SEXES)
            or len(set(self.sexes)) < len(self.sexes)
        ):
            raise SettingsError(f"sexes must name female, male or both, not {list(self.sexes)}.")
        for name, digest in self.files.items():
            if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
                raise SettingsError(f"files: {name} must have a SHA-256 in lower-case hexadecimal.")
        try:
            datetime.fromisoformat(self.created)
        except (TypeError, ValueError) as error:
            raise SettingsError(
                f"created must be a date and time in ISO 8601, not {self.created!r}."
            ) from error

    def to_json(self) -> str:
        """The card as the text of ``card.json``, indented for reading."""
        interval = self.interval
        layout = {
            "format_version": self.format_version,
            "name": self.name,
            "version": self.version,
            "boneage_version": self.boneage_version,
            "created": self.created,
            "preparation": {
                "version": self.preparation_version,
                "settings": None if self.preparation is None else dict(self.preparation),
            },
            "input": {"size_px": self.size_px},
            "sexes": [str(sex) for sex in self.sexes],
            "trained_on": dict(self.trained_on),
            "figures": dict(self.figures),
            "interval": None if interval is None else interval.to_json(),
            "licence": self.licence,
            "terms": self.terms,
            "intended_use": self.intended_use,
            "limits": self.limits,
            "files": dict(self.files),
        }
        return json.dumps(layout, indent=2, allow_nan=False, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes, *, source: str = "card.json") -> "Card":
        """Read a card.

        Args:
            text: Content of ``card.json``.
            source: Where it comes from, for messages.

        Returns:
            The card.

        Raises:
            BundleError: It is no card, or one of a release that this one does not know; the
                message says which release to use.
        """
        try:
            layout = json.loads(text, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise BundleError(
                f"{source} is damaged: it is not JSON ({error}). Get the model again."
            ) from error
        if not isinstance(layout, dict):
            raise BundleError(f"{source} is damaged: it is not a JSON object. Get the model again.")
        _check_format(layout, source)
        try:
            return cls(**_flatten(layout))
        except SettingsError as error:
            raise BundleError(f"{source} is not a valid model card: {error}") from error


def _check_format(layout: Mapping[str, Any], source: str) -> None:
    """Refuse a card of a layout that this release does not know, and say which one does."""
    version = layout.get("format_version")
    if version == FORMAT_VERSION and type(version) is int:
        return
    if type(version) is not int:
        raise BundleError(f"{source} is not a valid model card: it has no format_version.")
    writer = layout.get("boneage_version")
    known = isinstance(writer, str) and re.fullmatch(r"[0-9][0-9A-Za-z.+!-]*", writer)
    release = f"boneage {writer}" if known else "another release of boneage"
    raise BundleError(
        f"{source} has format {version}, and boneage {__version__} reads format "
        f"{FORMAT_VERSION} only. Use {release}, which wrote it."
    )


def _flatten(layout: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of ``Card`` from the layout of ``card.json``; every field must be there."""
    names = {f.name for f in dataclasses.fields(Card)} - {"preparation_version", "size_px"}
    _exact_fields(layout, names | {"input"}, "the card")
    values = dict(layout)
    preparation = _json_object(values.pop("preparation"), "preparation")
    _exact_fields(preparation, {"version", "settings"}, "preparation")
    values["preparation"] = preparation["settings"]
    values["preparation_version"] = preparation["version"]
    sizes = _json_object(values.pop("input"), "input")
    _exact_fields(sizes, {"size_px"}, "input")
    values["size_px"] = sizes["size_px"]
    if values["interval"] is not None:
        interval = _json_object(values["interval"], "interval")
        _exact_fields(interval, {f.name for f in dataclasses.fields(Interval)}, "interval")
        values["interval"] = Interval.from_json(dict(interval))
    sexes = values["sexes"]
    if not isinstance(sexes, list) or not all(isinstance(sex, str) for sex in sexes):
        raise SettingsError("sexes must be a list of words.")
    values["sexes"] = tuple(sexes)
    return values


def _exact_fields(found: Mapping[str, Any], wanted: set[str], where: str) -> None:
    if missing := sorted(wanted - set(found)):
        raise SettingsError(f"{where} lacks {', '.join(missing)}.")
    if unknown := sorted(set(found) - wanted):
        raise SettingsError(
            f"{where} has fields that boneage {__version__} does not know: "
            f"{', '.join(unknown)}. A later release may: pip install -U boneage"
        )


def _refuse_constant(word: str) -> None:
    raise ValueError(f"{word} is not a number in JSON")


def _text(value: object, name: str, *, empty: bool = False) -> None:
    if not isinstance(value, str) or not (empty or value.strip()):
        raise SettingsError(f"{name} must be {'a' if empty else 'a non-empty'} text.")


def _whole(value: object, name: str, low: int, high: int) -> None:
    if type(value) is not int or not low <= value <= high:
        raise SettingsError(f"{name} must be a whole number within {low} to {high}, not {value!r}.")


def _json_object(value: object, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise SettingsError(f"{name} must be a JSON object.")
    try:
        json.dumps(dict(value), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise SettingsError(f"{name} must hold nothing but JSON values: {error}.") from error
    return value
