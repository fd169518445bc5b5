import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boneage.errors import OutputError, SettingsError
from boneage.inference.rows import COLUMNS, Row, check_table_path, csv_rows, open_table

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
months = st.floats(0, 300)
rows = st.builds(
    Row,
    path=texts,
    id=texts,
    status=st.just("ok"),
    sex=st.sampled_from(["female", "male"]),
    bone_age_months=months,
    lower_months=st.none() | months,
    upper_months=st.none() | months,
    message=texts,
) | st.builds(
    Row, path=texts, id=texts, status=st.sampled_from(["refused", "failed"]), message=texts
)


def test_the_columns_are_the_contracts() -> None:
    assert ",".join(COLUMNS) == (
        "path,id,status,sex,bone_age_months,lower_months,upper_months,message"
    )


@given(table=st.lists(rows, max_size=5), suffix=st.sampled_from([".csv", ".json", ".JSON"]))
def test_tables_are_read_back(
    tmp_path_factory: pytest.TempPathFactory, table: list[Row], suffix: str
) -> None:
    path = tmp_path_factory.mktemp("rows") / f"out{suffix}"
    with open_table(path) as write:
        for row in table:
            write(row)
    wanted: list[dict[str, Any]] = [row.values() for row in table]
    with path.open(encoding="utf-8", newline="") as stream:
        if suffix == ".csv":
            found = list(csv.DictReader(stream))
            wanted = [
                {name: "" if value is None else str(value) for name, value in row.items()}
                for row in wanted
            ]
        else:
            found = json.load(stream)
    assert found == wanted
    assert all(tuple(row) == COLUMNS for row in found)


def test_months_have_one_decimal() -> None:
    row = Row("a.png", "a", "ok", "male", 131.449, 100.0, 160.05, "")
    stream = io.StringIO()
    csv_rows(stream)(row)
    assert stream.getvalue().splitlines()[1] == "a.png,a,ok,male,131.4,100.0,160.1,"


@pytest.mark.parametrize(("status", "age"), [("ok", None), ("failed", 1.0), ("refused", 0.0)])
def test_a_number_belongs_to_ok_only(status: Any, age: float | None) -> None:
    with pytest.raises(SettingsError, match="status ok"):
        Row("a.png", "a", status, "male", age)


def test_a_name_that_is_no_text_comes_through(tmp_path: Path) -> None:
    name = b"scan-\xff.png".decode("utf-8", "surrogateescape")
    for suffix in (".csv", ".json"):
        with open_table(tmp_path / f"out{suffix}") as write:
            write(Row(name, name, "failed"))
    assert b"scan-\xff.png,scan-\xff.png,failed" in (tmp_path / "out.csv").read_bytes()
    assert json.loads((tmp_path / "out.json").read_text("utf-8"))[0]["path"] == name


def test_nothing_is_left_of_a_table_that_was_not_finished(tmp_path: Path) -> None:
    (tmp_path / "out.csv").write_text("the older table")

    def stopped() -> None:
        with open_table(tmp_path / "out.csv") as write:
            write(Row("a.png", "a", "failed"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert [file.name for file in tmp_path.iterdir()] == ["out.csv"]
    assert (tmp_path / "out.csv").read_text() == "the older table"


def test_places_that_are_refused(tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("id,male\n")
    for name in ("out.txt", "out", "out.xlsx"):
        with pytest.raises(SettingsError, match=r"must end in \.csv or \.json"):
            check_table_path(tmp_path / name)
    with pytest.raises(SettingsError, match="would replace the label table"):
        check_table_path(tmp_path / "." / "labels.csv", labels)
    with pytest.raises(OutputError, match="Choose another place"):
        open_table(labels / "out.csv").__enter__()
