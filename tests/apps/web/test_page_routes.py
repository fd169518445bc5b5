"""The routes behind the page, asked by a program that makes every mistake there is."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from page_tools import Server, serving, write_phantom
from tiny_models import tiny_bundle, write_hand

from boneage.inference.rows import COLUMNS

ROW: dict[str, Any] = {
    "path": "ä, \"b\".png", "id": "ä", "status": "ok", "sex": "female", "bone_age_months": 120.5,
    "lower_months": 100.0, "upper_months": 140.0, "message": "",
}  # fmt: skip
CHANGES: dict[str, Any] = {
    "status": "fine", "sex": "unknown", "bone_age_months": None, "lower_months": "x",
    "upper_months": float("nan"), "message": "\ud800", "path": "\udcff",
}  # fmt: skip


@pytest.fixture(scope="module")
def client(server: Server) -> Any:
    with httpx.Client(base_url=server.url) as opened:
        yield opened


def table(client: httpx.Client, rows: str, kind: str = "csv") -> httpx.Response:
    return client.post("/table", data={"rows": rows, "format": kind})


def test_a_table_is_what_the_command_line_writes(client: httpx.Client) -> None:
    found = table(client, json.dumps([ROW]))
    assert found.text == f'{",".join(COLUMNS)}\n"ä, ""b"".png",ä,ok,female,120.5,100.0,140.0,\n'
    assert json.loads(table(client, json.dumps([ROW]), "json").text) == [ROW]


@pytest.mark.parametrize("name", sorted(CHANGES))
def test_what_is_no_row_is_refused(client: httpx.Client, name: str) -> None:
    answer = table(client, json.dumps([ROW | {name: CHANGES[name]}]))
    assert answer.status_code == 422
    assert answer.json()["detail"] == "These are no rows of a table."


@settings(max_examples=30)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from([*COLUMNS, "x"]), inner, max_size=9)
        ),
        max_leaves=12,
    )
)
def test_no_rows_bring_it_down(client: httpx.Client, values: Any) -> None:
    answer = table(client, json.dumps(values))
    assert answer.status_code in (200, 422)
    assert "Traceback" not in answer.text


def test_the_fragment_escapes_what_a_name_brings(client: httpx.Client) -> None:
    name = "<img src=x onerror=alert(1)>'\".png"
    files = {"files": (quote(name, safe="<> =()'"), b"no image")}
    for headers in ({"HX-Request": "true"}, {"Accept": "text/html"}):
        answer = client.post("/results", files=files, data={"sex": "female"}, headers=headers)
        assert answer.status_code == 200
        assert "<img src=x" not in answer.text
        assert "&lt;img src=x" in answer.text


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"sex": "boy"}, "The sex must be female or male."),
        ({"age_years": "ten"}, "The years must be a number."),
        ({"age_years": "inf"}, "The years must be a number of 0 or more."),
        ({"age_years": "40"}, "The age must be within 0 to 300 months, not 480."),
        ({"height_cm": "1.4"}, "The height must be within 40 to 230 cm, not 1.4."),
        ({"birth_date": "31.5.2017"}, "A date must be written as 2017-05-31."),
        ({"birth_date": "2017-05-31", "age_years": "3"}, "the age or the birth date, not both"),
    ],
)
def test_a_mistake_is_named(client: httpx.Client, fields: dict[str, str], words: str) -> None:
    for route in ("/results", "/view", "/report"):
        answer = client.post(route, files={"files": ("a.png", b"x")}, data=fields)
        assert answer.status_code == 422
        assert words in answer.json()["detail"]


def test_without_a_file_it_says_so(client: httpx.Client) -> None:
    # What a browser sends for a field in which nothing was chosen.
    body = b'--x\r\nContent-Disposition: form-data; name="files"; filename=""\r\n\r\n\r\n--x--\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    for route in ("/results", "/view", "/report"):
        answer = client.post(route, content=body, headers=headers)
        assert "No file was chosen" in answer.json()["detail"]


def test_asking_again_counts_no_radiograph(client: httpx.Client, tmp_path: Any) -> None:
    hand = write_phantom(tmp_path / "hand.png").read_bytes()

    def counted() -> str:
        lines = client.get("/metrics").text.splitlines()
        return next(
            line for line in lines if line.startswith('boneage_radiographs_total{status="ok"')
        )

    before = counted()
    for route in ("/view", "/report"):
        answer = client.post(route, files={"files": ("a.png", hand)}, data={"sex": "female"})
        assert answer.status_code == 200
    assert counted() == before
    client.post("/results", files={"files": ("a.png", hand)}, data={"sex": "female"})
    assert counted() != before


def test_a_model_without_interval_and_heat_map_is_shown_as_it_is(tmp_path: Path) -> None:
    model = tiny_bundle(tmp_path / "plain", interval=None)
    hand = write_hand(tmp_path / "hand.png").read_bytes()
    form: dict[str, Any] = {
        "files": {"files": ("a.png", hand)},
        "data": {"sex": "female", "age_years": "10", "heat": "yes"},
    }
    with serving("--model", str(model)) as server, httpx.Client(base_url=server.url) as client:
        page = client.get("/").text
        assert "months after Greulich and Pyle" in page
        assert "what decided" not in page
        assert "% interval" not in page
        answer = client.post("/results", headers={"HX-Request": "true"}, **form).text
        assert "none: this model gives no interval" in answer
        assert "whisker" not in answer
        view = client.post("/view", **form).text
        assert "data-png" in view
        assert "heat-layer" not in view
        page = client.post("/results", headers={"Accept": "text/html"}, **form).text
        assert page.count("data:image/jpeg") == 1
        assert client.post("/report", **form).status_code == 200
