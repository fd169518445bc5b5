import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from boneage.errors import BoneAgeError, InputError, NoInputError, SettingsError
from boneage.evaluation import AGE_BANDS_MONTHS, Metrics, evaluate
from boneage.radiographs.radiograph import Sex

AGES = st.integers(2, 40).flatmap(
    lambda n: st.tuples(
        arrays(np.float64, n, elements=st.floats(0, 240)),
        arrays(np.float64, n, elements=st.floats(-50, 300)),
        st.lists(st.sampled_from(list(Sex)), min_size=n, max_size=n),
    )
)


def made_up(count: int = 300, seed: int = 3) -> tuple[np.ndarray, np.ndarray, list[str]]:
    rng = np.random.default_rng(seed)
    true = rng.uniform(0, 228, count).round()
    predicted = true + rng.normal(2, 11, count)
    sexes = ["female" if draw < 0.45 else "male" for draw in rng.random(count)]
    return true, predicted, sexes


def test_plain_formulas() -> None:
    true, predicted, sexes = made_up()
    metrics = evaluate(true, predicted, sexes, bootstrap=50)
    errors = predicted - true
    assert metrics.count == 300
    assert metrics.mae_months == pytest.approx(sum(abs(e) for e in errors) / 300)
    assert metrics.rmse_months == pytest.approx(math.sqrt(sum(e * e for e in errors) / 300))
    assert metrics.bias_months == pytest.approx(sum(errors) / 300)
    assert metrics.median_absolute_error_months == pytest.approx(np.median(np.abs(errors)))
    residual = sum(e * e for e in errors)
    total = sum((t - true.mean()) ** 2 for t in true)
    assert metrics.r2 == pytest.approx(1 - residual / total)
    for months in (6, 12, 24):
        share = sum(abs(e) <= months for e in errors) / 300
        assert getattr(metrics, f"within_{months}_months") == pytest.approx(share)


def test_figures_by_hand() -> None:
    metrics = evaluate([10, 30, 100, 210], [16, 30, 88, 235], ["f", "M", "girl", "male"])
    assert metrics.mae_months == pytest.approx(43 / 4)
    assert metrics.bias_months == pytest.approx(19 / 4)
    # Exactly 6 and exactly 12 months off count as within.
    assert (metrics.within_6_months, metrics.within_12_months) == (0.5, 0.75)
    assert metrics.by_sex["female"].mae_months == 9
    assert metrics.by_sex["male"].bias_months == 12.5
    assert metrics.by_age_band["0-24"].count == 1
    assert metrics.by_age_band["204+"].within_12_months == 0


def test_intervals_agree_with_scipy() -> None:
    true, predicted, sexes = made_up()
    metrics = evaluate(true, predicted, sexes, bootstrap=8000, seed=1)
    errors = predicted - true
    figures = {
        "mae": lambda e, axis: np.abs(e).mean(axis=axis),
        "rmse": lambda e, axis: np.sqrt(np.square(e).mean(axis=axis)),
        "bias": lambda e, axis: e.mean(axis=axis),
    }
    for name, figure in figures.items():
        reference = stats.bootstrap(
            (errors,), figure, n_resamples=8000, method="percentile", rng=np.random.default_rng(7)
        )
        width = reference.confidence_interval.high - reference.confidence_interval.low
        interval = getattr(metrics, f"{name}_ci95_months")
        assert interval == pytest.approx(tuple(reference.confidence_interval), abs=0.06 * width)


def test_interval_holds_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    expected_mae = 10 * math.sqrt(2 / math.pi)  # of a normal distribution with sd 10
    held_mae = held_bias = 0
    for seed in range(300):
        true = np.full(150, 100.0)
        predicted = true + rng.normal(0, 10, 150)
        metrics = evaluate(true, predicted, ["male"] * 150, bootstrap=300, seed=seed)
        assert metrics.mae_ci95_months is not None
        assert metrics.bias_ci95_months is not None
        held_mae += metrics.mae_ci95_months[0] <= expected_mae <= metrics.mae_ci95_months[1]
        held_bias += metrics.bias_ci95_months[0] <= 0 <= metrics.bias_ci95_months[1]
    # Four standard errors about 95 %.
    assert 0.90 <= held_mae / 300 <= 1.0
    assert 0.90 <= held_bias / 300 <= 1.0
    assert held_mae < 300


@settings(deadline=None, max_examples=40)
@given(AGES)
def test_perfect_predictions_have_no_error(cases: tuple[np.ndarray, np.ndarray, list[Sex]]) -> None:
    true, _, sexes = cases
    metrics = evaluate(true, true, sexes, bootstrap=20)
    assert metrics.mae_months == metrics.rmse_months == metrics.bias_months == 0
    assert metrics.mae_ci95_months == (0, 0)
    assert metrics.within_6_months == 1
    assert metrics.r2 in (1, None)


@settings(deadline=None, max_examples=40)
@given(AGES, st.floats(-60, 60))
def test_a_shift_is_a_bias(
    cases: tuple[np.ndarray, np.ndarray, list[Sex]], shift_months: float
) -> None:
    true, _, sexes = cases
    metrics = evaluate(true, true + shift_months, sexes, bootstrap=20)
    assert metrics.bias_months == pytest.approx(shift_months, abs=1e-9)
    assert metrics.mae_months == pytest.approx(abs(shift_months), abs=1e-9)
    assert metrics.bias_ci95_months == pytest.approx((shift_months, shift_months), abs=1e-9)


@settings(deadline=None, max_examples=40)
@given(AGES, st.randoms(use_true_random=False))
def test_order_of_the_cases_does_not_matter(
    cases: tuple[np.ndarray, np.ndarray, list[Sex]], random
) -> None:
    true, predicted, sexes = cases
    order = list(range(len(true)))
    random.shuffle(order)
    one = evaluate(true, predicted, sexes, bootstrap=30)
    other = evaluate(true[order], predicted[order], [sexes[i] for i in order], bootstrap=30)
    assert _flat(one) == pytest.approx(_flat(other), rel=1e-9, abs=1e-9, nan_ok=True)


@settings(deadline=None, max_examples=40)
@given(AGES)
def test_intervals_contain_the_estimates_and_all_is_json(
    cases: tuple[np.ndarray, np.ndarray, list[Sex]],
) -> None:
    metrics = evaluate(*cases, bootstrap=400)
    for name in ("mae", "rmse", "bias"):
        low, high = getattr(metrics, f"{name}_ci95_months")
        assert low - 1e-9 <= getattr(metrics, f"{name}_months") <= high + 1e-9
    content = metrics.to_dict()
    assert json.loads(json.dumps(content, allow_nan=False)) == content
    assert metrics.bias_months**2 <= metrics.rmse_months**2 + 1e-6
    assert sum(group.count for group in metrics.by_sex.values()) == metrics.count
    assert sum(group.count for group in metrics.by_age_band.values()) == metrics.count


def test_contract_keys() -> None:
    content = evaluate(*made_up(), bootstrap=20).to_dict()
    assert {
        "count", "mae_months", "mae_ci95_months", "rmse_months", "r2", "within_12_months",
        "bias_months", "by_sex", "by_age_band",
    } <= set(content)  # fmt: skip
    assert list(content["by_sex"]) == ["female", "male"]
    assert list(content["by_age_band"]) == [band.name for band in AGE_BANDS_MONTHS]
    assert isinstance(content["mae_ci95_months"], list)


def test_what_is_undefined_is_none() -> None:
    content = evaluate([50], [58], ["female"]).to_dict()
    assert content["mae_months"] == 8
    assert content["r2"] is content["mae_ci95_months"] is content["bias_ci95_months"] is None
    assert content["by_sex"]["male"] == {
        "count": 0, "mae_months": None, "mae_ci95_months": None, "bias_months": None,
        "bias_ci95_months": None, "within_12_months": None,
    }  # fmt: skip
    same_age = evaluate([50, 50], [58, 40], ["female", "male"])
    assert same_age.r2 is None
    assert same_age.mae_ci95_months is not None


def test_same_seed_same_interval_other_seed_other_interval() -> None:
    cases = made_up(50)
    first = evaluate(*cases, bootstrap=100, seed=4)
    assert first == evaluate(*cases, bootstrap=100, seed=4)
    assert first.mae_ci95_months != evaluate(*cases, bootstrap=100, seed=5).mae_ci95_months


def test_many_cases_are_resampled_in_parts() -> None:
    # 9,000 cases a row make the resamples exceed what is held at a time.
    true, predicted, sexes = made_up(9000)
    low, high = evaluate(true, predicted, sexes, bootstrap=400).mae_ci95_months or (0, 0)
    spread = np.abs(predicted - true).std() / math.sqrt(9000)
    assert high - low == pytest.approx(2 * 1.96 * spread, rel=0.2)


def test_network_output_of_any_size_is_measured() -> None:
    largest = float(np.finfo(np.float32).max)
    content = evaluate([10, 20], [largest, 20], ["f", "m"], bootstrap=10).to_dict()
    json.dumps(content, allow_nan=False)


@pytest.mark.parametrize(
    ("true", "predicted", "sexes", "options", "error", "words"),
    [
        ([1, 2], [1], ["f", "m"], {}, InputError, "predicted_months has 1 values"),
        ([1, 2], [1, 2], ["f"], {}, InputError, "sexes has 1 values"),
        ([], [], [], {}, NoInputError, "no case"),
        ([1, math.nan], [1, 2], ["f", "m"], {}, InputError, "true_months holds nan at position 1"),
        ([1, 2], [math.inf, 2], ["f", "m"], {}, InputError, "predicted_months holds inf"),
        ([1, -2], [1, 2], ["f", "m"], {}, InputError, "0 months or more"),
        ([1, 2], [1, "old"], ["f", "m"], {}, InputError, "must be numbers"),
        ([[1, 2]], [[1, 2]], ["f"], {}, InputError, "one value a case"),
        ([1, 2], [1, 2], ["f", "x"], {}, InputError, "not a sex"),
        ([1, 2], [1, 2], ["f", "m"], {"bootstrap": 0}, SettingsError, "bootstrap"),
        ([1, 2], [1, 2], ["f", "m"], {"bootstrap": -5}, SettingsError, "bootstrap"),
        ([1, 2], [1, 2], ["f", "m"], {"seed": -1}, SettingsError, "seed"),
    ],
)
def test_wrong_input_is_named(
    true, predicted, sexes, options, error: type[BoneAgeError], words: str
) -> None:
    with pytest.raises(error, match=words):
        evaluate(true, predicted, sexes, **options)


def test_summary_is_aligned_plain_text() -> None:
    summary = evaluate(*made_up(), bootstrap=50).summary()
    lines = summary.splitlines()
    assert lines[0].startswith("MAE ")
    assert "n = 300" in lines[0]
    assert max(len(line) for line in lines) <= 80
    table = lines[lines.index("") + 1 :]
    assert [row.split()[0] for row in table[1:3]] == ["female", "male"]
    assert len({len(row) for row in table}) == 1


def test_summary_of_one_case() -> None:
    summary = evaluate([50], [50], ["m"]).summary()
    assert "R2       undefined" in summary
    assert "female" not in summary
    assert "-0.0" not in summary


def _flat(metrics: Metrics) -> list[float]:
    found: list[float] = []

    def walk(value: object) -> None:
        if isinstance(value, dict):
            for item in value.values():
                walk(item)
        elif isinstance(value, list):
            for item in value:
                walk(item)
        else:
            found.append(math.nan if value is None else float(value))  # type: ignore[arg-type]

    walk(metrics.to_dict())
    return found
