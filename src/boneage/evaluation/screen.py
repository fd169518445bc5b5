"""The content of ``metrics.json`` as lines of plain text."""

from collections.abc import Mapping
from typing import Any

__all__ = ["figure", "group_rows", "metrics_lines"]

HEADER = ("", "n", "MAE (95 %)", "bias (95 %)", "within 12")


def metrics_lines(metrics: Mapping[str, Any]) -> list[str]:
    """Lay the figures out for a screen of 80 columns.

    Args:
        metrics: What ``Metrics.to_dict`` gives, or ``metrics.json`` holds.

    Returns:
        Lines without colour or markup; groups without a case are left out.
    """
    r2 = metrics["r2"]
    return [
        f"MAE      {figure(metrics, 'mae')} months, n = {metrics['count']:,}",
        f"RMSE     {figure(metrics, 'rmse')} months",
        f"bias     {figure(metrics, 'bias', signed=True)} months (predicted - true)",
        f"median   {metrics['median_absolute_error_months']:.1f} months absolute error",
        f"R2       {'undefined' if r2 is None else format(r2, '.3f')}",
        "within   " + ", ".join(
            f"{months} months {100 * metrics[f'within_{months}_months']:.1f} %"
            for months in (6, 12, 24)
        ),
        "",
        *_aligned([HEADER, *group_rows(metrics)]),
    ]  # fmt: skip


def group_rows(metrics: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Give one row of text a group: name, count, MAE, bias, share within 12 months.

    Args:
        metrics: What ``Metrics.to_dict`` gives, or ``metrics.json`` holds.

    Returns:
        Rows for the sexes, then the age bands; those without a case are left out.
    """
    named = [(name, group) for name, group in metrics["by_sex"].items()]
    named += [(f"{name} months", group) for name, group in metrics["by_age_band"].items()]
    return [
        (
            name,
            f"{group['count']:,}",
            figure(group, "mae"),
            figure(group, "bias", signed=True),
            f"{100 * group['within_12_months']:.1f} %",
        )
        for name, group in named
        if group["count"] > 0
    ]


def figure(metrics: Mapping[str, Any], name: str, *, signed: bool = False) -> str:
    """Write a figure with its interval: ``9.1 (8.6 to 9.6)``.

    Args:
        metrics: Holds ``{name}_months`` and ``{name}_ci95_months``.
        name: Name of the figure, such as ``mae``.
        signed: Whether to write a plus before figures above 0.

    Returns:
        The text, without the unit.
    """
    sign = "+z" if signed else "z"
    text = f"{metrics[f'{name}_months']:{sign}.1f}"
    interval = metrics[f"{name}_ci95_months"]
    if interval is None:
        return text
    return f"{text} ({interval[0]:{sign}.1f} to {interval[1]:{sign}.1f})"


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
