"""Text on a picture: measured, wrapped and drawn in the scalable font that OpenCV brings."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from boneage.errors import MissingExtraError

__all__ = ["TextStyle", "draw_text", "height_px", "require_fonts", "wrapped"]

_LINE = 1.4

# Without it, letters drawn by several threads came out different now and then (OpenCV 5.0.0).
_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True)
class TextStyle:
    """How a text looks.

    Attributes:
        size_px: Height of the font in pixels, 8 to 100.
        colour: Red, green and blue, 0 to 255 each.
        weight: Weight of the font, 100 to 1000; 400 is regular, 600 semibold.
    """

    size_px: int
    colour: tuple[int, int, int]
    weight: int = 400

    @property
    def line_px(self) -> int:
        """From one line to the next, in pixels."""
        return round(self.size_px * _LINE)

    def width_px(self, text: str) -> int:
        """What a line takes from left to right, in pixels."""
        origin = (0, 0)
        with _ONE_AT_A_TIME:
            box = cv2.getTextSize(origin, text, origin, _font(), self.size_px, self.weight)
        return int(box[2])


def require_fonts() -> None:
    """Raise unless OpenCV has scalable fonts.

    Raises:
        MissingExtraError: It is older than release 5.
    """
    if not hasattr(cv2, "FontFace"):
        raise MissingExtraError(
            f"This needs OpenCV 5 or later for its fonts, and {cv2.__version__} is installed: "
            "pip install -U 'opencv-python-headless>=5'"
        )


def wrapped(text: str, style: TextStyle, width_px: int) -> list[str]:
    """Break a text into lines that fit; a word that is too long for a line is broken as well."""
    lines: list[str] = []
    for paragraph in text.splitlines():
        line = ""
        for word in _pieces(paragraph, style, width_px):
            longer = f"{line} {word}" if line else word
            if line and style.width_px(longer) > width_px:
                lines.append(line)
                longer = word
            line = longer
        lines.append(line)
    return lines


def height_px(lines: list[str], style: TextStyle) -> int:
    """What lines take from top to bottom, in pixels."""
    return len(lines) * style.line_px


def draw_text(
    picture: NDArray[np.uint8], lines: list[str], left_px: int, top_px: int, style: TextStyle
) -> int:
    """Draw lines into a picture.

    Args:
        picture: Shape (rows, columns, 3), uint8, red first; changed.
        lines: The lines, as :func:`wrapped` gives them.
        left_px: Where they begin.
        top_px: Top of the first.
        style: How they look.

    Returns:
        Where the next line would have its top.
    """
    for line in lines:
        base = top_px + round(style.size_px * 1.05)
        with _ONE_AT_A_TIME:
            cv2.putText(
                picture, line, (left_px, base), style.colour, _font(), style.size_px, style.weight
            )
        top_px += style.line_px
    return top_px


def _pieces(paragraph: str, style: TextStyle, width_px: int) -> Iterator[str]:
    """The words, those that no line can hold in parts; a no-break space does not part words."""
    for word in paragraph.split(" "):
        rest = word
        while len(rest) > 1 and style.width_px(rest) > width_px:
            length = next(
                length
                for length in range(len(rest) - 1, 0, -1)
                if length == 1 or style.width_px(rest[:length]) <= width_px
            )
            yield rest[:length]
            rest = rest[length:]
        yield rest


@cache
def _font() -> Any:
    # Its own font, inside the library: no file of the system, so a sheet is the same everywhere.
    return cv2.FontFace("sans")
