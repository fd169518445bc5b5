"""What is left on the disk: nothing, unless ``--keep`` says so."""

import json
from pathlib import Path

import pytest
from api_tools import ApiServer, rows
from dicom_files import write_dicom
from tiny_models import hand_pixels


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_nothing_is_left(api: ApiServer, hand: Path, tmp_path: Path) -> None:
    # More than the 1 MB from which on the usual parsers of forms write to the disk.
    padded = ("large.png", hand.read_bytes() + bytes(3_000_000))
    dicom = write_dicom(tmp_path / "a.dcm", hand_pixels(), PatientSex="F")
    for _ in range(3):
        rows(api.predict(hand, padded, dicom, heat_map="true"))
        api.http.post("/report", files={"files": ("hand.png", hand.read_bytes())})
    assert files_below(api.folder) == []
    assert files_below(api.temporary) == []
    opened = [path.resolve() for path in Path(f"/proc/{api.process.pid}/fd").iterdir()]
    assert not [path for path in opened if "deleted" in str(path)]
    assert api.log == ""


def test_what_is_uploaded_can_be_kept(tmp_path: Path, explaining: Path, hand: Path) -> None:
    keep = tmp_path / "kept"
    options = ["--model", str(explaining), "--workers", "1", "--keep", str(keep)]
    server = ApiServer(tmp_path / "server", *options)
    try:
        answered = rows(server.predict(hand, ("../.hidden", b"no picture")))
        folders = sorted(
            keep.iterdir(), key=lambda folder: (folder / "row.json").stat().st_mtime_ns
        )
        assert [json.loads((one / "row.json").read_text())["path"] for one in folders] == [
            row["path"] for row in answered
        ]
        assert (folders[0] / "upload" / "hand.png").read_bytes() == hand.read_bytes()
        assert files_below(folders[1]) == ["row.json", "upload", "upload/_.hidden"]
        modes = {path.stat().st_mode & 0o777 for one in folders for path in (one, *one.rglob("*"))}
        assert modes == {0o700, 0o600}
        assert server.http.get("/health").json()["status"] == "ok"
        _replace_by_a_file(keep)
        assert rows(server.predict(hand))[0]["status"] == "ok"  # the answer comes all the same
        health = server.http.get("/health")
        assert health.status_code == 503
        assert health.json()["problems"] == ["what is uploaded cannot be kept"]
        assert server.metric("boneage_keep_errors_total") == 1
        assert f"Cannot keep an upload in {keep}: Not a directory." in server.log
        assert hand.name not in server.log  # it may be a patient's
    finally:
        server.close()


def _replace_by_a_file(folder: Path) -> None:
    folder.rename(folder.with_name("moved"))
    folder.write_text("in the way")


@pytest.mark.parametrize("name", ["x" * 300 + ".png", "ä" * 200 + ".png", "a." + "b" * 250])
def test_any_name_can_be_kept(tmp_path: Path, name: str) -> None:
    from boneage.apps.web.jobs import Answer, Job
    from boneage.apps.web.keeping import Keeper
    from boneage.apps.web.metrics import Metrics
    from boneage.inference.rows import Row
    from boneage.reports.child import ChildVisit
    from boneage.reports.child_request import Facts

    answer = Answer(ChildVisit(Row(name, "x", "failed"), Facts()))
    Keeper(tmp_path, Metrics()).keep([Job(name, b"data")], [answer])
    (kept,) = tmp_path.glob("*/upload/*")
    assert kept.read_bytes() == b"data"
