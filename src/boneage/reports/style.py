"""How plots look: sizes, fonts, colours and the parts that they share.

Figures are as wide as a journal's column and drawn at 300 dots per inch, so that they can go into
a paper as they are. matplotlib is imported when first drawn with, and never through pyplot: no
window system is touched and nothing global is left behind.
"""

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boneage.errors import require_extra
from boneage.files import atomic_path
from boneage.radiographs.radiograph import Sex

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

__all__ = [
    "DOUBLE_COLUMN_MM",
    "INK",
    "MIDDLE_COLUMN_MM",
    "MUTED",
    "SEX_STYLES",
    "SHADE",
    "SINGLE_COLUMN_MM",
    "add_years_axis",
    "house_style",
    "month_range",
    "new_figure",
    "save_figure",
    "set_month_ticks",
]

# Column widths of Nature, Radiology and their like differ by a few mm only.
SINGLE_COLUMN_MM = 89.0
MIDDLE_COLUMN_MM = 120.0
DOUBLE_COLUMN_MM = 183.0
_DPI = 300
_MM_PER_INCH = 25.4

INK = "#1a1a1a"
MUTED = "#5f5f5f"
SHADE = "#e4e4e4"


@dataclass(frozen=True)
class SexStyle:
    """How one sex is drawn; colour is never the only difference.

    Attributes:
        label: Word for legends.
        colour: From the palette of Okabe and Ito (Color Universal Design, 2008), which stays
            distinct under the common colour blindnesses and in grey print.
        marker: matplotlib marker.
        line: matplotlib line style.
        fill: Colour inside an outline.
    """

    label: str
    colour: str
    marker: str
    line: str
    fill: str


SEX_STYLES = {
    Sex.FEMALE: SexStyle("Female", "#D55E00", "o", "-", "white"),
    Sex.MALE: SexStyle("Male", "#0072B2", "^", "--", "#cfe3ef"),
}

_RC: Any = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same plot on every machine
    "font.size": 7.5,
    "axes.labelsize": 8,
    "axes.titlesize": 8,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "legend.handlelength": 1.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "lines.linewidth": 1.1,
    "axes.grid": False,
    "text.usetex": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "savefig.facecolor": "white",
    "axes.unicode_minus": True,
}


@contextlib.contextmanager
def house_style() -> Iterator[None]:
    """Set fonts and colours for the figures made and saved inside.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    require_extra("train", "matplotlib")
    import matplotlib

    with matplotlib.rc_context(_RC):
        yield


def new_figure(width_mm: float, height_mm: float, note: str | None = None) -> "Figure":
    """Make a figure of a given size with a tight layout.

    Args:
        width_mm: Width in mm.
        height_mm: Height in mm.
        note: Small print for the lower left corner, or None.

    Returns:
        The figure, drawn by Agg.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_mm / _MM_PER_INCH, height_mm / _MM_PER_INCH), dpi=_DPI)
    FigureCanvasAgg(figure)
    bottom = 4.0 / height_mm if note else 0.0
    figure.set_layout_engine("constrained", rect=(0, bottom, 1, 1 - bottom))
    if note:
        # Escaped, because matplotlib takes what stands between dollar signs for mathematics.
        text = note.replace("$", r"\$")
        figure.text(0.01, 1.2 / height_mm, text, fontsize=6, color=MUTED, va="bottom")
    return figure


def save_figure(figure: "Figure", path: Path) -> Path:
    """Write a figure as PNG, all of it or nothing.

    Args:
        figure: The figure.
        path: Where to; the folder is made if need be.

    Returns:
        ``path``.

    Raises:
        OutputError: The system refused to write.
    """
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=_DPI, metadata={"Software": None})
    return path


def month_range(smallest: float, largest: float, step: int = 24) -> tuple[float, float]:
    """Widen a range of ages to whole steps, with a little air where a value lies on the end."""
    low = min(0.0, math.floor(smallest / step) * step)
    high = max(step, math.ceil((largest + 1) / step) * step)
    return float(low), float(high)


def set_month_ticks(axis: "Axis") -> None:
    """Put ticks on whole years if the range of the axis allows a readable number of them."""
    from matplotlib.ticker import MaxNLocator, MultipleLocator

    low, high = sorted(axis.get_view_interval())
    for step in (12, 24, 48, 60, 120):
        if (high - low) / step <= 10:
            axis.set_major_locator(MultipleLocator(step))
            return
    axis.set_major_locator(MaxNLocator(6))


def add_years_axis(axes: "Axes", side: str) -> None:
    """Give an axis in months its twin in years.

    Args:
        axes: Its month range and ticks must be set already: each month tick gets its years.
        side: ``top`` for the x axis, ``right`` for the y axis.
    """
    make: Any = axes.secondary_xaxis if side == "top" else axes.secondary_yaxis
    months = axes.xaxis if side == "top" else axes.yaxis
    twin = make(side, functions=(lambda value: value / 12, lambda value: value * 12))
    low, high = sorted(months.get_view_interval())
    ticks = [tick / 12 for tick in months.get_majorticklocs() if low <= tick <= high]
    axis = twin.xaxis if side == "top" else twin.yaxis
    axis.set_ticks(ticks, labels=[f"{tick:.3g}" for tick in ticks])
    axis.set_label_text("years", color=MUTED)
    twin.tick_params(colors=MUTED, width=0.6)
    twin.spines[side].set_visible(True)
    twin.spines[side].set_color(MUTED)
