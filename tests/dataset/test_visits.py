from pathlib import Path

import pytest

from boneage.dataset.visits import read_visits
from boneage.errors import LabelsError


def table(folder: Path, text: str) -> Path:
    path = folder / "labels.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_visits_of_the_radiographs_that_are_asked_for(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        "Image ID,male,Patient ID,Chronological age (months),Height cm\n"
        "a,True,007,130.5,141\nb,True,007,,n/a\nc,True,8,nonsense,0\n",
    )
    visits = read_visits(path, {"a", "b", "stranger"})
    assert set(visits) == {"a", "b"}
    assert (visits["a"].child, visits["a"].age_months, visits["a"].height_cm) == ("007", 130.5, 141)
    assert (visits["b"].child, visits["b"].age_months, visits["b"].height_cm) == ("007", None, None)
    assert visits["b"].where == f"{path}, line 3"


def test_a_table_without_these_columns_knows_nothing(tmp_path: Path) -> None:
    # A plain "age" may be in years, so it is not taken.
    path = table(tmp_path, "id,male,age\na,True,10\n")
    (visit,) = read_visits(path, {"a"}).values()
    assert (visit.child, visit.age_months, visit.height_cm) == ("", None, None)


def test_decimal_commas_where_the_comma_does_not_separate(tmp_path: Path) -> None:
    path = table(tmp_path, "id;male;age_months\na;True;130,5\n")
    assert read_visits(path, {"a"})["a"].age_months == 130.5


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id,age_months\na,ten\n", r"line 2: age_months is 'ten', not a number"),
        ("id,height_cm\na,inf\n", r"line 2: height_cm is 'inf'"),
        ("id,age_months\na,10\na,11\n", r"line 3, says something else about a than .*line 2"),
        ("id,child,patient\na,1,1\n", r"columns 'child' and 'patient'"),
        ("name,child\na,1\n", r"lacks an id"),
    ],
)
def test_what_cannot_be_used(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(LabelsError, match=said):
        read_visits(table(tmp_path, text), {"a"})


def test_a_line_that_comes_twice_is_one_visit(tmp_path: Path) -> None:
    path = table(tmp_path, "id,child,age_months\na,x,10\na,x,10\n")
    assert list(read_visits(path, {"a"})) == ["a"]
