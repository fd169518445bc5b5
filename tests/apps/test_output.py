"""Where the output goes: pipes, full disks, terminals, interrupts."""

import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tiny_models import write_hand

SRC = Path(__file__).parents[2] / "src"


def command(*arguments: str | os.PathLike[str]) -> list[str]:
    return [sys.executable, "-m", "boneage", *map(os.fspath, arguments)]


def surroundings(**more: str) -> dict[str, str]:
    colours = {"FORCE_COLOR", "CLICOLOR_FORCE"}
    plain = {key: value for key, value in os.environ.items() if key not in colours}
    return {**plain, "PYTHONPATH": str(SRC), "NO_COLOR": "1", "TERM": "xterm", **more}


def test_places_that_cannot_be_written_to(
    run_cli: Any, bundle: Path, scans: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.csv").mkdir()
    for out in (tmp_path / "file" / "out.csv", tmp_path / "folder.csv", Path("/proc/out.csv")):
        done = run_cli("predict", scans, "--sex", "F", "--model", bundle, "--out", out)
        assert done.returncode not in (0, -1)
        assert re.fullmatch(rf"error: Cannot write {out}: .*\n", done.stderr)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.csv", "scans"]


def test_the_table_does_not_replace_the_label_table(
    run_cli: Any, bundle: Path, scans: Path, tmp_path: Path
) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("id,male\n1,True\n")
    done = run_cli("predict", scans, "--labels", labels, "--model", bundle, "--out", labels)
    assert done.returncode == 2
    assert "would replace the label table" in done.stderr
    assert labels.read_text() == "id,male\n1,True\n"


def test_an_older_table_is_replaced_as_a_whole(
    run_cli: Any, bundle: Path, scans: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new folder" / "out.csv"
    for _ in range(2):
        done = run_cli("predict", scans, "--sex", "F", "--model", bundle, "--out", out)
        assert done.returncode == 0
    assert [path.name for path in out.parent.iterdir()] == ["out.csv"]
    assert len(out.read_text().splitlines()) == 4


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_behind_standard_output(bundle: Path, scans: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            command("predict", scans, "--sex", "F", "--model", bundle),
            stdout=full, stderr=subprocess.PIPE, text=True, env=surroundings(), check=False,
        )  # fmt: skip
    assert done.returncode == 2
    assert "the disk is full" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_full_disk_behind_the_table(bundle: Path, scans: Path, tmp_path: Path) -> None:
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4k", "none", str(place)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("may not mount a small file system here")
    try:
        (place / "filler").write_bytes(b"x" * 4096)
        done = subprocess.run(
            command("predict", scans, "--sex", "F", "--model", bundle, "--out", place / "o.csv"),
            capture_output=True, text=True, env=surroundings(), check=False,
        )  # fmt: skip
        left = [path.name for path in place.iterdir()]
    finally:
        subprocess.run(["umount", str(place)], check=True)
    assert done.returncode == 2
    assert "the disk is full" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert left == ["filler"]


def test_a_reader_that_goes_away(bundle: Path, tmp_path: Path) -> None:
    one = write_hand(tmp_path / "in" / f"{'long' * 40}-0.png").read_bytes()
    for number in range(1, 400):
        (tmp_path / "in" / f"{'long' * 40}-{number}.png").write_bytes(one)
    process = subprocess.Popen(
        command("predict", tmp_path / "in", "--sex", "F", "--model", bundle),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=surroundings(),
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline().startswith("path,")
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(timeout=60) == 141


def test_control_c(bundle: Path, tmp_path: Path) -> None:
    one = write_hand(tmp_path / "in" / "0.png").read_bytes()
    for number in range(1, 2000):
        (tmp_path / "in" / f"{number}.png").write_bytes(one)
    out = tmp_path / "out" / "ages.csv"
    process = subprocess.Popen(
        command("predict", tmp_path / "in", "--sex", "F", "--model", bundle, "--out", out),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=surroundings(),
        # Background jobs of a shell, and so their children, may ignore it from the start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        time.sleep(0.1)  # the temporary table is made when predicting begins
        if out.parent.exists() and any(out.parent.iterdir()):
            break
    time.sleep(0.2)  # let it begin; 2,000 radiographs take far longer
    process.send_signal(signal.SIGINT)
    shown, said = process.communicate(timeout=60)
    assert (process.returncode, shown, said) == (130, "", "interrupted\n")
    assert list(out.parent.iterdir()) == []


def test_a_table_on_a_terminal(bundle: Path, scans: Path) -> None:
    (scans / "[red]4.png").write_text("no image")
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        command("predict", scans, "--sex", "male", "--model", bundle),
        stdout=follower, stderr=subprocess.PIPE, env=surroundings(COLUMNS="160"),
    )  # fmt: skip
    os.close(follower)
    shown = b""
    while True:
        try:
            part = os.read(leader, 65536)
        except OSError:  # how Linux says that the other side has closed
            break
        if not part:
            break
        shown += part
    os.close(leader)
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(timeout=60) == 1
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode("utf-8"))
    assert f"in {scans}" in text
    assert re.search(r"1\.png +│ male +│ +\d+ y \d+ m │ +\d+\.\d │ +\d+\.\d to \d+\.\d", text)
    assert "below/3.tif" in text
    assert "[red]4.png" in text
    assert "failed: " in text
    assert "4 inputs: 3 ok, 1 failed" in text
    assert "path,id,status" not in text


def test_the_csv_is_utf8_whatever_the_locale(run_cli: Any, bundle: Path, tmp_path: Path) -> None:
    write_hand(tmp_path / "Hände.png")
    done = run_cli(
        "predict", tmp_path, "--sex", "F", "--model", bundle,
        env={"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "1"},
    )  # fmt: skip
    assert done.returncode == 0
    assert "Hände.png" in done.stdout
