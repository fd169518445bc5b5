"""The intake gate: is this one hand on a radiograph, and which way up does it lie?

A small network looks at the whole picture before anything is cropped or estimated. It says what
the picture shows and where the fingers point; a second output tells how unlike everything that it
was trained on the picture is. ``docs/explanation/intake.md`` has the figures and the limits.

>>> from boneage.inference.intake import Intake                # doctest: +SKIP
>>> result = Intake.load()(radiograph)                         # doctest: +SKIP
>>> result.reason, result.quarter_turns                        # doctest: +SKIP
('', 0)
"""

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from boneage.errors import BundleError, SettingsError, UnsuitableError
from boneage.inference.runtime import onnxruntime
from boneage.radiographs.intensity import normalise
from boneage.radiographs.radiograph import Radiograph

__all__ = ["Intake", "IntakeResult", "intake_image"]

MODEL = Path(__file__).parent / "models" / "intake.onnx"
"""The network that comes with boneage; its card lies beside it, with the suffix ``.json``."""

FORMAT_VERSION = 1
REDUCED_PX = 256
"""Larger radiographs are reduced to this longer side first: more than the network can see."""

_OUTPUTS = ["probabilities", "direction", "distance"]
_GIVE = "Give one hand, palm down, from the fingertips to the wrist."
_NO_RADIOGRAPH = (
    "this does not look like a radiograph of a hand (it may be a photograph, a drawing, a page of "
    f"text, noise or an empty film). {_GIVE}"
)
_REASONS = {
    "hand": f"this does not look like a usual radiograph of a hand. {_GIVE}",
    "two": f"this seems to show more than one hand. {_GIVE}",
    "cut": "this does not look like a radiograph of a whole hand (a large part of it seems to be "
    f"missing). {_GIVE}",
    "body": "this does not look like a radiograph of a hand (it may show another part of the "
    f"body). {_GIVE}",
    "picture": _NO_RADIOGRAPH,
    "noise": _NO_RADIOGRAPH,
}
_EMPTY = f"the image is empty: all pixels have the same value. {_GIVE}"


@dataclass(frozen=True)
class IntakeResult:
    """What the intake gate found.

    Attributes:
        reason: Why no bone age should be put on the picture, as a sentence for its user; empty
            if it is accepted.
        quarter_turns: Quarter turns counter-clockwise (``numpy.rot90``'s k) that bring the
            fingers up, 0 to 3; 0 where the direction is in doubt.
        tilt_deg: How far the hand then still leans counter-clockwise, -45 to 45 degrees;
            0 where the direction is in doubt. ``radiographs.turning.turn`` takes both as they are.
        kind: What it looks like most: ``hand``, ``two`` (hands), ``cut`` (hand with much
            missing), ``body`` (another part), ``picture``, ``noise``.
        hand_probability: How sure the network is of one whole hand, 0 to 1.
        certainty: How sure it is of the direction: about 1 where it is, near 0 where it is not.
        distance: How unlike the radiographs of training it is, as a multiple of the limit; above
            1 it is refused.
    """

    reason: str
    quarter_turns: int
    tilt_deg: float
    kind: str
    hand_probability: float
    certainty: float
    distance: float

    @property
    def accepted(self) -> bool:
        """Whether a bone age may be put on it."""
        return not self.reason


class Intake:
    """The gate with its network loaded. Safe to use from several threads."""

    def __init__(self, graph: bytes, card: dict[str, Any], *, where: str, threads: int = 1) -> None:
        """Load the network; :meth:`load` is the shorter way.

        Args:
            graph: The ONNX graph: input ``image`` float32 (N, 1, S, S); outputs
                ``probabilities`` (N, classes), ``direction`` (N, 2) as cosine and sine of the
                angle from up, counter-clockwise, and ``distance`` (N,).
            card: What ``intake.json`` holds.
            where: Name for messages.
            threads: Threads that one call may use, 1 or more.

        Raises:
            BundleError: It cannot be used.
            SettingsError: ``threads`` is below 1.
        """
        if threads < 1:
            raise SettingsError(f"threads must be 1 or more, not {threads}.")
        self.card = card
        self._where = where
        try:
            if card["format_version"] != FORMAT_VERSION:
                raise ValueError(f"format_version is not {FORMAT_VERSION}")
            self._size_px = int(card["input"]["size_px"])
            self._kinds = [str(kind) for kind in card["classes"]]
            self._thresholds = {
                name: float(card["thresholds"][name])
                for name in ("hand_probability", "certainty", "distance")
            }
            if set(self._kinds) != set(_REASONS):
                raise ValueError(f"classes are not {sorted(_REASONS)}")
        except (KeyError, TypeError, ValueError) as error:
            raise BundleError(
                f"{where}: its card cannot be used ({error}). Install boneage again."
            ) from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                graph, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its exceptions have no common base but Exception
            raise BundleError(f"{where} cannot be loaded. Install boneage again.") from error

    @classmethod
    def load(cls, path: str | os.PathLike[str] | None = None, *, threads: int = 1) -> "Intake":
        """Load the gate that comes with boneage, or another.

        Args:
            path: An ONNX file with its card beside it (same name, suffix ``.json``); None for
                the one that comes with boneage.
            threads: Threads that one call may use, 1 or more.

        Returns:
            The gate.

        Raises:
            BundleError: A file is missing or cannot be used.
            SettingsError: ``threads`` is below 1.
        """
        model = MODEL if path is None else Path(path)
        try:
            graph = model.read_bytes()
            card = json.loads(model.with_suffix(".json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise BundleError(
                f"{model} or its card {model.with_suffix('.json').name} cannot be read: {error}. "
                "Install boneage again."
            ) from error
        return cls(graph, card, where=str(model), threads=threads)

    def __call__(self, radiograph: Radiograph) -> IntakeResult:
        """Judge one radiograph of any size.

        Args:
            radiograph: It is not changed. Large ones may be reduced before; it makes no
                difference here.

        Returns:
            Whether it is accepted, and how it lies.

        Raises:
            BundleError: The network fails.
        """
        try:
            image = intake_image(radiograph.pixels, self._size_px)
        except UnsuitableError as error:
            return IntakeResult(str(error), 0, 0.0, "noise", 0.0, 0.0, math.inf)
        if not image.any():
            return IntakeResult(_EMPTY, 0, 0.0, "noise", 0.0, 0.0, math.inf)
        try:
            # The mean with the mirror image costs 0.6 ms and halves what is let through in error;
            # left and right hands are judged alike.
            both = np.stack([image, image[:, ::-1]])[:, np.newaxis]
            outputs: Any = self._session.run(_OUTPUTS, {"image": both})
            probabilities, direction, distance = (np.asarray(value) for value in outputs)
            direction = direction * np.array([[1, 1], [1, -1]], np.float32)
        except Exception as error:  # see above
            raise BundleError(f"{self._where} fails when it runs: {error}") from error
        return self._result(probabilities.mean(0), direction.mean(0), float(distance.mean()))

    def _result(
        self, probabilities: NDArray[np.float32], direction: NDArray[np.float32], distance: float
    ) -> IntakeResult:
        kinds = dict(zip(self._kinds, probabilities.tolist(), strict=True))
        hand = kinds["hand"]
        distance /= self._thresholds["distance"]
        reason, kind = "", "hand"
        if not hand >= self._thresholds["hand_probability"]:
            # Not a hand with enough certainty: the likeliest of the others names the reason.
            kind = max((name for name in kinds if name != "hand"), key=kinds.__getitem__)
            reason = _REASONS[kind]
        elif not distance <= 1:
            reason = _REASONS["hand"]
        certainty = math.hypot(*direction.tolist())
        turns, tilt = 0, 0.0
        if certainty >= self._thresholds["certainty"]:
            turns, tilt = _turns_of(math.degrees(math.atan2(direction[1], direction[0])))
        return IntakeResult(reason, turns, tilt, kind, hand, certainty, distance)


def intake_image(pixels: NDArray[Any], size_px: int) -> NDArray[np.float32]:
    """What the network sees of a radiograph: all of it, small, on the common grey scale.

    Args:
        pixels: Shape (height, width), uint8, uint16 or float32.
        size_px: Side of the square in pixels.

    Returns:
        Shape (size_px, size_px), float32 in 0..1: the normalised radiograph in the middle,
        reduced by means over areas, and 0 beside it. All 0 if it is constant.

    Raises:
        UnsuitableError: A float picture holds NaN or infinity.
    """
    if pixels.dtype == np.float32 and not bool(np.isfinite(pixels).all()):
        raise UnsuitableError("the image holds values that are not finite: export it anew.")
    image = normalise(_fitted(pixels, REDUCED_PX, enlarge=False)).image
    small = _fitted(image, size_px, enlarge=True)
    height, width = small.shape
    square = np.zeros((size_px, size_px), np.float32)
    top, left = (size_px - height) // 2, (size_px - width) // 2
    square[top : top + height, left : left + width] = np.clip(small, 0, 1)
    return square


def _fitted(pixels: NDArray[Any], long_side_px: int, *, enlarge: bool) -> NDArray[Any]:
    height, width = pixels.shape
    factor = long_side_px / max(height, width)
    if factor == 1 or (factor > 1 and not enlarge):
        return pixels
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, size, interpolation=method))


def _turns_of(angle_deg: float) -> tuple[int, float]:
    """Quarter turns and remaining tilt for fingers that point ``angle_deg`` to the left of up."""
    turns = round(-angle_deg / 90)
    return turns % 4, float(np.clip(angle_deg + 90 * turns, -45.0, 45.0))
