"""Figures as they are printed in plots and pages."""

__all__ = ["duration", "interval_text", "percent", "signed", "years_and_months"]


def signed(value: float, *, plus: bool = True, digits: int = 1) -> str:
    """Write a number with a true minus sign, and a plus sign if wanted; zero has no sign."""
    text = f"{value:{'+' if plus else ''}z.{digits}f}".replace("-", "−")
    return text.removeprefix("+") if float(f"{value:.{digits}f}") == 0 else text


def interval_text(interval: tuple[float, float], *, plus: bool = False) -> str:
    """Write an interval: ``8.6 to 9.6``."""
    return f"{signed(interval[0], plus=plus)} to {signed(interval[1], plus=plus)}"


def duration(seconds: float) -> str:
    """Write a time as a reader would say it: ``42 s``, ``2 min 31 s``, ``1 h 5 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min"


def percent(share: float) -> str:
    """Write a share of 0 to 1 in percent, to a tenth at most, on one line: ``90 %``, ``86.6 %``."""
    return f"{round(100 * share, 1):g}\N{NO-BREAK SPACE}%"


def years_and_months(months: float) -> str:
    """Write an age as it is spoken: ``10 y 11 m``, to the nearest month, on one line."""
    years, rest = divmod(round(months), 12)
    return f"{years} y {rest} m".replace(" ", "\N{NO-BREAK SPACE}")
