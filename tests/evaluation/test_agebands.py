import numpy as np
import pytest

from boneage.errors import SettingsError
from boneage.evaluation import AGE_BANDS_MONTHS, AgeBand


def test_bands_leave_no_gap_and_do_not_overlap() -> None:
    ages = np.arange(0, 400, 0.25)
    hits = np.sum([band.contains(ages) for band in AGE_BANDS_MONTHS], axis=0)
    assert (hits == 1).all()


def test_the_lower_end_belongs_to_the_band() -> None:
    band = AgeBand(24, 60)
    assert band.contains(np.array([23.99, 24.0, 59.99, 60.0])).tolist() == [
        False, True, True, False,
    ]  # fmt: skip


def test_names() -> None:
    assert (AgeBand(24, 60).name, AgeBand(24, 60).label) == ("24-60", "24–60")
    assert AgeBand(204, None).name == AgeBand(204, None).label == "204+"


@pytest.mark.parametrize("ends", [(-1, 10), (10, 10), (10, 5)])
def test_wrong_ends_are_refused(ends: tuple[int, int]) -> None:
    with pytest.raises(SettingsError, match="lower_months"):
        AgeBand(*ends)
