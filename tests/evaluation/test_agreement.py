import math

import numpy as np
import pytest

from boneage.errors import InputError
from boneage.evaluation import limits_of_agreement


def test_limits_of_agreement_by_hand() -> None:
    agreement = limits_of_agreement([10, 20, 30, 40], [11, 19, 33, 41])
    differences = [1, -1, 3, 1]
    sd = math.sqrt(sum((d - 1) ** 2 for d in differences) / 3)
    assert agreement.bias_months == pytest.approx(1)
    assert agreement.sd_months == pytest.approx(sd)
    assert agreement.lower_limit_months == pytest.approx(1 - 1.96 * sd)
    assert agreement.upper_limit_months == pytest.approx(1 + 1.96 * sd)


def test_intervals_agree_with_the_published_formula_for_normal_differences() -> None:
    # Bland and Altman 1999, section 2.1: the limits' variance is (1/n + 1.96²/(2(n - 1))) s².
    rng = np.random.default_rng(8)
    count = 2000
    true = rng.uniform(0, 200, count)
    agreement = limits_of_agreement(true, true + rng.normal(3, 10, count))
    bias_half = 1.96 * agreement.sd_months / math.sqrt(count)
    limit_half = 1.96 * agreement.sd_months * math.sqrt(1 / count + 1.96**2 / (2 * (count - 1)))
    for value, (low, high), half in (
        (agreement.bias_months, agreement.bias_ci95_months, bias_half),
        (agreement.lower_limit_months, agreement.lower_limit_ci95_months, limit_half),
        (agreement.upper_limit_months, agreement.upper_limit_ci95_months, limit_half),
    ):
        assert low == pytest.approx(value - half, abs=0.2 * half)
        assert high == pytest.approx(value + half, abs=0.2 * half)


def test_one_case_has_no_limits() -> None:
    with pytest.raises(InputError, match="two cases"):
        limits_of_agreement([1], [2])
