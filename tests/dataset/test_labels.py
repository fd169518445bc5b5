from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boneage.dataset.labels import LabelRow, read_labels
from boneage.dataset.records import Reason
from boneage.errors import LabelsError
from boneage.radiographs.radiograph import Sex


def read(tmp_path: Path, content: str | bytes, **options: bool):
    path = tmp_path / "labels.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_labels(path, **options)


def short(table) -> list[tuple[str, float | None, str]]:
    return [(row.id, row.bone_age_months, str(row.sex)) for row in table.rows]


EXPECTED = [("7", 180.0, "female"), ("12", 12.5, "male")]


@pytest.mark.parametrize(
    "content",
    [
        "id,boneage,male\n7,180,False\n12,12.5,True\n",
        "ID,BoneAge,Male\n7,180,false\n12,12.5,TRUE\n",
        "male,extra,id,bone_age\n0,x,7,180\n1,y,12,12.5\n",
        "Case ID,Bone Age (months),Sex\n7,180,F\n12,12.5,M\n",
        "Image ID,boneage,Gender\n7,180,female\n12,12.5,Male\n",
        "id,boneage,male\n7,180,no\n12,12.5,Yes\n",
        "id;boneage;male\n7;180;False\n12;12,5;True\n",
        "id\tboneage\tmale\n7\t180\tFalse\n12\t12.5\tTrue\n",
        '"id","boneage","male"\n"7","180","False"\n"12","12.5","True"\n',
        "id,boneage,male\r\n7,180,False\r\n\r\n12,12.5,True\r\n\r\n",
        "\n\nid,boneage,male\n\n 7 , 180 , False \n,,\n12,12.5,True",
        ",id,boneage,male\n0,7,180.0,0.0\n1,12,12.5,1.0\n",
        "id,boneage,male\n7.0,180,False\n12.0,12.5,True\n",
        "\ufeffid,boneage,male\n7,180,False\n12,12.5,True\n".encode(),
        "id,boneage,male\n7,180,False\n12,12.5,True\n".encode("utf-16"),
        "id,boneage,male,remark\n7,180,False,M\xfcller \x85\n12,12.5,True,\n".encode("latin-1"),
    ],
)
def test_tables_in_use_are_understood(tmp_path: Path, content: str | bytes) -> None:
    table = read(tmp_path, content)
    assert short(table) == EXPECTED
    assert table.discarded == ()


def test_ids_are_strings(tmp_path: Path) -> None:
    table = read(tmp_path, "id,boneage,male\n007,10,1\n7,20,0\n7.0,30,1\na b,40,0\n")
    assert [row.id for row in table.rows] == ["007", "7", "7.0", "a b"]
    assert table.sex_of("007") is Sex.MALE
    assert table.sex_of(" 7 ") is Sex.FEMALE
    assert table.sex_of("8") is None


def test_an_accented_id_matches_however_unicode_writes_it(tmp_path: Path) -> None:
    table = read(tmp_path, "id,boneage,male\nZoe\u0308,10,0\n")
    assert table.sex_of("Zo\u00eb") is Sex.FEMALE


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("7,abc,True", Reason.IMPOSSIBLE_AGE),
        ("7,inf,True", Reason.IMPOSSIBLE_AGE),
        ("7,-3,True", Reason.IMPOSSIBLE_AGE),
        ("7,0,True", Reason.IMPOSSIBLE_AGE),
        ("7,240.1,True", Reason.IMPOSSIBLE_AGE),
        ("7,nan,True", Reason.MISSING_AGE),
        ("7,,True", Reason.MISSING_AGE),
        ("7,120,", Reason.MISSING_SEX),
        ("7,120,NaN", Reason.MISSING_SEX),
        ("7,120", Reason.MISSING_SEX),
        ("7,120,2", Reason.UNKNOWN_SEX),
        (",120,True", Reason.MISSING_ID),
    ],
)
def test_a_bad_value_costs_its_own_row(tmp_path: Path, row: str, reason: Reason) -> None:
    table = read(tmp_path, f"id,boneage,male\n{row}\n8,240,True\n9,0.5,False\n")
    assert [item.id for item in table.rows] == ["8", "9"]
    (discard,) = table.discarded
    assert discard.reason is reason
    assert discard.id == row.split(",")[0]
    assert "line 2" in discard.detail


def test_a_word_column_does_not_take_numbers_for_a_sex(tmp_path: Path) -> None:
    table = read(tmp_path, "id,boneage,sex\n1,10,1\n2,20,f\n")
    assert [row.id for row in table.rows] == ["2"]
    assert table.discarded[0].reason is Reason.UNKNOWN_SEX
    assert "'1'" in table.discarded[0].detail


def test_a_repeated_row_is_counted_and_used_once(tmp_path: Path) -> None:
    table = read(tmp_path, "id,boneage,male\n7,120,True\n7,120.0,1\n8,10,0\n")
    assert short(table) == [("7", 120.0, "male"), ("8", 10.0, "female")]
    (discard,) = table.discarded
    assert (discard.reason, discard.detail) == (Reason.DUPLICATE_ID, "line 3 repeats line 2")


@pytest.mark.parametrize(
    ("second", "words"),
    [("7,96,True", ["120 months", "96 months"]), ("7,120,False", ["male", "female"])],
)
def test_two_labels_for_one_id_are_an_error(tmp_path: Path, second: str, words: list[str]) -> None:
    with pytest.raises(LabelsError) as error:
        read(tmp_path, f"id,boneage,male\n7,120,True\n8,10,True\n{second}\n")
    for word in ["7:", "line 2", "line 4", "labels.csv", *words]:
        assert word in str(error.value)


def test_many_conflicts_are_counted_not_poured_out(tmp_path: Path) -> None:
    rows = "".join(f"{name},{age},1\n" for name in range(50) for age in (10, 20))
    with pytest.raises(LabelsError, match="and 47 more") as error:
        read(tmp_path, "id,boneage,male\n" + rows)
    assert len(str(error.value)) < 600


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("name,age,male\n1,2,True\n", ["an id", "a bone age", "'name', 'age', 'male'"]),
        ("id,boneage\n1,2\n", ["a sex", "'id', 'boneage'"]),
        ("id,boneage,male,Sex\n1,2,True,M\n", ["'male' and 'Sex'", "remove"]),
        ("", ["empty"]),
        ("\n\n", ["empty"]),
        ('id,boneage,male\n1,2,"True\n', ["line 2", "quotes"]),
        (b"PK\x03\x04rest of a workbook", ["workbook", "CSV"]),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00", ["not a text table"]),
    ],
)
def test_what_is_no_label_table_says_what_is_needed(
    tmp_path: Path, content: str | bytes, words: list[str]
) -> None:
    with pytest.raises(LabelsError) as error:
        read(tmp_path, content)
    for word in ["labels.csv", *words]:
        assert word in str(error.value)


def test_a_missing_file_is_a_labels_error(tmp_path: Path) -> None:
    with pytest.raises(LabelsError, match=r"nothing\.csv.*Check the path"):
        read_labels(tmp_path / "nothing.csv")


def test_bone_ages_are_optional_for_prediction(tmp_path: Path) -> None:
    table = read(tmp_path, "id,male\n7,True\n8,False\n", need_bone_age=False)
    assert short(table) == [("7", None, "male"), ("8", None, "female")]
    # A column that is not needed cannot spoil the table.
    table = read(
        tmp_path, "id,boneage,male\n7,abc,True\n7,12,True\n8,,False\n", need_bone_age=False
    )
    assert [row.id for row in table.rows] == ["7", "8"]


@given(
    rows=st.dictionaries(
        st.from_regex(r"[A-Za-z][A-Za-z0-9_\-]{0,8}", fullmatch=True).filter(
            lambda name: name.lower() != "nan"
        ),
        st.tuples(st.sampled_from(list(Sex)), st.integers(1, 960)),
        min_size=1,
        max_size=20,
    ),
    order=st.permutations(["id", "boneage", "male"]),
    delimiter=st.sampled_from([",", ";", "\t"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "latin-1"]),
    ending=st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory,
    rows: dict[str, tuple[Sex, int]],
    order: list[str],
    delimiter: str,
    encoding: str,
    ending: str,
) -> None:
    lines = [delimiter.join(order)]
    for name, (sex, quarters) in rows.items():
        cells = {"id": name, "boneage": f"{quarters / 4}", "male": str(sex is Sex.MALE)}
        lines.append(delimiter.join(cells[column] for column in order))
    path = tmp_path_factory.mktemp("labels") / "labels.csv"
    path.write_bytes(ending.join(lines).encode(encoding))
    assert read_labels(path).rows == tuple(
        LabelRow(name, sex, quarters / 4, line)
        for line, (name, (sex, quarters)) in enumerate(rows.items(), start=2)
    )
