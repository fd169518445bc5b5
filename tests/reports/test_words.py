import pytest

from boneage.reports.words import duration, interval_text, percent, signed, years_and_months


@pytest.mark.parametrize(
    ("value", "text"), [(1.25, "+1.2"), (-0.04, "0.0"), (0.04, "0.0"), (-3, "−3.0"), (12, "+12.0")]
)
def test_signed(value: float, text: str) -> None:
    assert signed(value) == text


def test_interval_text() -> None:
    assert interval_text((8.61, 9.58)) == "8.6 to 9.6"
    assert interval_text((-1, 2), plus=True) == "−1.0 to +2.0"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (151, "2 min 31 s"), (3900, "1 h 5 min"),
     (3599.7, "1 h 0 min")],
)  # fmt: skip
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("share", "text"), [(0.9, "90 %"), (0.8664, "86.6 %"), (0.9000094, "90 %"), (1, "100 %")]
)
def test_percent(share: float, text: str) -> None:
    assert percent(share) == text.replace(" ", "\N{NO-BREAK SPACE}")


@pytest.mark.parametrize(
    ("months", "text"), [(0, "0 y 0 m"), (11.6, "1 y 0 m"), (131.4, "10 y 11 m")]
)
def test_years_and_months(months: float, text: str) -> None:
    assert years_and_months(months) == text.replace(" ", "\N{NO-BREAK SPACE}")
