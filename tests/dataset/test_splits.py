from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boneage.dataset.records import Record
from boneage.dataset.splits import read_split, stratified_folds, stratified_split
from boneage.errors import LabelsError, SettingsError
from boneage.radiographs.radiograph import Sex

RECORDS = st.dictionaries(
    st.text("abcdef0123456789", min_size=1, max_size=6),
    st.tuples(st.sampled_from(list(Sex)), st.floats(1, 228)),
    min_size=2,
    max_size=60,
).map(lambda items: [Record(name, Path(name), sex, age) for name, (sex, age) in items.items()])


def population(count: int) -> list[Record]:
    rng = np.random.default_rng(1)
    return [
        Record(
            str(number),
            Path(f"{number}.png"),
            Sex.MALE if rng.random() < 0.54 else Sex.FEMALE,
            float(np.clip(rng.normal(127, 41), 1, 228)),
        )
        for number in range(count)
    ]


@given(records=RECORDS, fraction=st.floats(0.01, 0.99), seed=st.integers(0, 5), data=st.data())
def test_a_split_divides_and_ignores_the_order(
    records: list[Record], fraction: float, seed: int, data: st.DataObject
) -> None:
    train, validation = stratified_split(records, fraction, seed)
    assert sorted([*train, *validation]) == sorted(record.id for record in records)
    assert train
    assert abs(len(validation) - fraction * len(records)) <= 1
    shuffled = data.draw(st.permutations(records))
    assert stratified_split(shuffled, fraction, seed) == (train, validation)


def test_a_split_has_the_sexes_and_ages_of_the_whole() -> None:
    records = population(2000)
    by_id = {record.id: record for record in records}
    _, validation = stratified_split(records, 0.1, seed=3)
    assert len(validation) == 200
    for sex in Sex:
        whole = [record.bone_age_months for record in records if record.sex is sex]
        part = [by_id[name].bone_age_months for name in validation if by_id[name].sex is sex]
        assert len(part) / 200 == pytest.approx(len(whole) / 2000, abs=0.003)
        # A purely random tenth misses these quantiles by 3 to 6 months.
        quantiles = [0.1, 0.25, 0.5, 0.75, 0.9]
        assert np.quantile(part, quantiles) == pytest.approx(np.quantile(whole, quantiles), abs=2)
    assert stratified_split(records, 0.1, seed=4)[1] != validation


def test_a_drawn_split_stays_what_it_was() -> None:
    # Figures that were reported name a seed: the draw may not change between releases.
    records = [
        Record(str(number), Path("x.png"), list(Sex)[number % 2], 10.0 + number)
        for number in range(12)
    ]
    assert stratified_split(records, 0.25, seed=0)[1] == ("10", "4", "7")
    folds = list(stratified_folds(records, 3, seed=0).values())
    assert folds == [2, 2, 0, 2, 1, 0, 0, 1, 2, 0, 1, 1]


@given(records=RECORDS, k=st.integers(2, 7), seed=st.integers(0, 5), data=st.data())
def test_folds_divide_evenly_and_ignore_the_order(
    records: list[Record], k: int, seed: int, data: st.DataObject
) -> None:
    if k > len(records):
        with pytest.raises(SettingsError, match="folds"):
            stratified_folds(records, k, seed)
        return
    folds = stratified_folds(records, k, seed)
    assert list(folds) == sorted(record.id for record in records)
    sizes = Counter(folds.values())
    assert set(sizes) == set(range(k))
    assert max(sizes.values()) - min(sizes.values()) <= 1
    by_sex = Counter((folds[record.id], record.sex) for record in records)
    for sex in Sex:
        counts = [by_sex[fold, sex] for fold in range(k)]
        assert max(counts) - min(counts) <= 2
    assert stratified_folds(data.draw(st.permutations(records)), k, seed) == folds


def test_folds_have_the_ages_of_the_whole() -> None:
    records = population(1000)
    folds = stratified_folds(records, 5, seed=2)
    means = [
        np.mean([record.bone_age_months for record in records if folds[record.id] == fold])
        for fold in range(5)
    ]
    assert max(means) - min(means) < 1.5
    assert stratified_folds(records, 5, seed=3) != folds


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, float("nan")])
def test_a_fraction_out_of_range_is_refused(fraction: float) -> None:
    with pytest.raises(SettingsError, match="fraction must be above 0 and below 1"):
        stratified_split(population(10), fraction)


def test_one_radiograph_cannot_be_split() -> None:
    with pytest.raises(SettingsError, match="at least 2"):
        stratified_split(population(1), 0.5)


def test_a_split_table_is_read(tmp_path: Path) -> None:
    path = tmp_path / "split.csv"
    path.write_text("split;ID\nTrain;1\nval;2\nvalidation;3\nTEST;4\ntraining;5\nval;2\n")
    assert read_split(path) == {
        "1": "train", "2": "validation", "3": "validation", "4": "test", "5": "train",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("id,split\n1,train\n1,val\n", ["puts 1 into train (line 2)", "validation (line 3)"]),
        ("id,split\n1,sometimes\n", ["line 2", "'sometimes'"]),
        ("id,split\n,train\n", ["line 2"]),
        ("id,group\n1,train\n", ["'id', 'group'", "'split'"]),
    ],
)
def test_a_bad_split_table_is_refused(tmp_path: Path, content: str, words: list[str]) -> None:
    path = tmp_path / "split.csv"
    path.write_text(content)
    with pytest.raises(LabelsError) as error:
        read_split(path)
    for word in ["split.csv", *words]:
        assert word in str(error.value)
