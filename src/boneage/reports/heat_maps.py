"""Heat maps of the best and the worst cases of an evaluation, side by side."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from boneage.dataset.records import Record
from boneage.errors import RadiographError
from boneage.inference.overlay import blend, scale_colours, scale_of
from boneage.inference.prediction import Prediction
from boneage.radiographs.readers import read_radiograph
from boneage.reports.style import DOUBLE_COLUMN_MM, house_style, new_figure, save_figure
from boneage.reports.words import signed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_heat_maps", "most_and_least"]

_COLUMNS = 5

Case = tuple[Record, Prediction]
T = TypeVar("T")


def draw_heat_maps(path: Path, cases: Sequence[Case], note: str | None = None) -> Path | None:
    """Draw the five cases with the smallest errors above the five with the largest.

    Fewer than ten cases are dealt to both rows; none comes twice. Each has its own scale of
    colours, which stands below it: one scale for all would leave most of them grey.

    Args:
        path: Where to write the PNG.
        cases: Labelled radiographs with their predictions.
        note: Small print, or None.

    Returns:
        ``path``, or None where no prediction has a heat map.

    Raises:
        MissingExtraError: matplotlib is not installed.
        OutputError: The plot cannot be written.
    """
    explained = [case for case in cases if case[1].heat_map is not None]
    if not explained:
        return None
    least, most = most_and_least(explained, key=lambda case: abs(_error(case)))
    rows = {"a   Smallest errors": least, "b   Largest errors": most}
    with house_style():
        return save_figure(_panel(rows, note), path)


def most_and_least(cases: Iterable[T], key: Callable[[T], float]) -> tuple[list[T], list[T]]:
    """Choose the five cases with the smallest errors, and the five with the largest.

    Args:
        cases: Any; fewer than ten are dealt to both, and none comes twice.
        key: The size of a case's error.

    Returns:
        The smallest, the very smallest first, and the largest, the very largest first.
    """
    ranked = sorted(cases, key=key)
    count = min(_COLUMNS, (len(ranked) + 1) // 2)
    return ranked[:count], ranked[count:][-count:][::-1]


def _panel(rows: dict[str, list[Case]], note: str | None) -> "Figure":
    figure = new_figure(DOUBLE_COLUMN_MM, 118, note)
    grid = figure.add_gridspec(3, _COLUMNS, height_ratios=(1, 1, 0.06))
    for row, (title, cases) in enumerate(rows.items()):
        for column in range(_COLUMNS):
            axes = figure.add_subplot(grid[row, column])
            axes.set_axis_off()
            if column < len(cases):
                _draw_case(axes, cases[column])
            if column == 0:
                axes.set_title(title)
    _draw_scale(figure.add_subplot(grid[2, 1:4]))
    return figure


def _draw_case(axes: "Axes", case: Case) -> None:
    record, answer = case
    assert answer.heat_map is not None
    limit = scale_of(answer.heat_map.values_months)
    label = f"{record.id}: {record.bone_age_months:g}, {signed(_error(case))}; ±{limit:g}"
    axes.text(0.5, -0.02, label, transform=axes.transAxes, ha="center", va="top", fontsize=6)
    try:
        picture = blend(read_radiograph(record.path), answer.heat_map, limit)
    except RadiographError:  # the file has gone or changed since it was predicted
        axes.text(0.5, 0.5, "file is gone", transform=axes.transAxes, ha="center", fontsize=6)
        return
    axes.imshow(picture[..., ::-1], interpolation="none")


def _draw_scale(axes: "Axes") -> None:
    """A bar of the colours over mid-grey, as they lie on a radiograph."""
    colours = scale_colours(256)[None, :, ::-1]
    axes.imshow(colours, aspect="auto", extent=(-1, 1, 0, 1))
    axes.set_yticks([])
    axes.set_xticks([-1, 0, 1], ["younger", "0", "older"])
    axes.set_xlabel(
        "What a cell adds to the bone age. Below each: id, true, predicted − true; the strongest "
        "colour, in months"
    )


def _error(case: Case) -> float:
    record, answer = case
    return answer.bone_age_months - record.bone_age_months
