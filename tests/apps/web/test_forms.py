"""What the page says of a child, beside a file that says something itself."""

from pathlib import Path

import pytest
from api_tools import ApiServer, parts, problem
from dicom_files import write_dicom
from tiny_models import hand_pixels


@pytest.fixture(scope="module")
def girl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A radiograph whose header gives an age of 144.4 months."""
    header = {"PatientSex": "F", "StudyDate": "20200513", "PatientBirthDate": "20080501"}
    return write_dicom(tmp_path_factory.mktemp("girl") / "girl.dcm", hand_pixels(), **header)


@pytest.mark.parametrize(
    ("said", "source"),
    [
        ({"age_years": "12", "age_more_months": "0.4", "age_source": "file"}, "from the file"),
        ({"age_years": "12", "age_more_months": "0.4", "age_source": ""}, ""),
        ({"age_years": "12", "age_more_months": "0.4"}, ""),
        ({"age_years": "12", "age_more_months": "1.4", "age_source": "file"}, ""),
        ({"age_source": "file"}, "from the file"),
    ],
)
def test_an_age_that_was_filled_in_is_the_files(
    api: ApiServer, girl: Path, said: dict[str, str], source: str
) -> None:
    asked = {"files": parts([girl]), "data": {"sex": "female", **said}}
    for route in ("/results", "/view", "/report"):
        assert api.http.post(route, **asked).status_code == 200
    text = api.http.post("/results", headers={"HX-Request": "true"}, **asked).text
    assert "Chronological age" in text
    assert ("from the file" in text) == bool(source)


def test_the_source_of_an_age_is_the_file_or_nothing(api: ApiServer, girl: Path) -> None:
    asked = {"files": parts([girl]), "data": {"sex": "female", "age_source": "guess"}}
    assert problem(api.http.post("/results", **asked), 422)["errors"][0]["field"] == "age_source"
