"""Writing: all of a file or the old one, and a plain message for whatever the system refuses."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boneage.errors import OutputError
from boneage.files import atomic_path, make_folder, output_errors, write_json, write_text

SOURCE = Path(__file__).resolve().parent.parent / "src"
Mount = Callable[[str], Path]


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Mounts a small file system in memory with the given options; skips where not allowed."""
    mounted: list[Path] = []

    def mount_with(options: str) -> Path:
        folder = tmp_path / f"mount{len(mounted)}"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            pytest.skip("no mount command here: a full disk cannot be made")
        if done.returncode != 0:
            pytest.skip(f"mounting is not allowed here: {done.stderr.strip()}")
        mounted.append(folder)
        return folder

    yield mount_with
    for folder in mounted:
        subprocess.run(["umount", str(folder)], check=True)


def start(code: str, *args: str | Path) -> subprocess.Popen[str]:
    """A Python process with boneage at hand and its output readable."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, args)],
        cwd=SOURCE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_process_killed_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "metrics.json"
    write_text(target, "old")
    code = """
import sys, time
from boneage.files import atomic_path
with atomic_path(sys.argv[1]) as temporary:
    with open(temporary, "w") as file:
        file.write("half of the new")
        file.flush()
        print("writing", flush=True)
        time.sleep(60)
"""
    with start(code, target) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        assert target.read_text() == "old"
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert target.read_text() == "old"
    write_text(target, "new")
    assert target.read_text() == "new"


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    target = tmp_path / "predictions.csv"
    texts = ["a" * 3_000_000, "b" * 2_000_000]
    write_text(target, texts[0])
    code = """
import sys
from boneage.files import write_text
for turn in range(60):
    write_text(sys.argv[1], ["a" * 3_000_000, "b" * 2_000_000][turn % 2])
"""
    seen = set()
    with start(code, target) as process:
        while process.poll() is None:
            seen.add(target.read_text())
    assert process.returncode == 0
    assert seen <= set(texts)
    assert os.listdir(tmp_path) == ["predictions.csv"]


def test_a_block_that_raises_leaves_the_old_file_and_no_temporary(tmp_path: Path) -> None:
    target = tmp_path / "card.json"
    write_text(target, "old")

    def write_half() -> None:
        with atomic_path(target) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["card.json"]


def test_the_temporary_file_has_the_suffix_that_image_writers_go_by(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "plots" / "loss.png") as temporary:
        assert temporary.suffix == ".png"
        assert temporary.parent == tmp_path / "plots"
        temporary.write_bytes(b"png")
    assert (tmp_path / "plots" / "loss.png").read_bytes() == b"png"


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_file_gets_the_permissions_that_the_user_asked_for(
    tmp_path: Path, umask: int, mode: int
) -> None:
    before = os.umask(umask)
    try:
        write_text(tmp_path / "x.txt", "x")
        assert os.umask(umask) == umask
    finally:
        os.umask(before)
    assert (tmp_path / "x.txt").stat().st_mode & 0o777 == mode


@given(text=st.text())
def test_text_comes_back_byte_for_byte(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    target = tmp_path_factory.getbasetemp() / "text" / "any.txt"
    write_text(target, text)
    assert target.read_bytes() == text.encode()


@given(
    value=st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=10,
    )
)
def test_json_comes_back(tmp_path_factory: pytest.TempPathFactory, value: object) -> None:
    target = tmp_path_factory.getbasetemp() / "json" / "any.json"
    write_json(target, value)
    assert json.loads(target.read_text(encoding="utf-8")) == value


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"mae_months": float("nan")}])
def test_json_refuses_what_is_no_number_and_keeps_the_old_file(
    tmp_path: Path, value: object
) -> None:
    target = tmp_path / "metrics.json"
    write_json(target, {"mae_months": 1.0})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(target, value)
    assert json.loads(target.read_text()) == {"mae_months": 1.0}


def test_a_full_disk_says_so_and_keeps_the_old_file(mount: Mount) -> None:
    folder = mount("size=64k")
    write_text(folder / "out.csv", "old")
    with pytest.raises(OutputError, match="disk is full") as caught:
        write_text(folder / "out.csv", "x" * 200_000)
    assert str(folder / "out.csv") in str(caught.value)
    assert (folder / "out.csv").read_text() == "old"
    assert os.listdir(folder) == ["out.csv"]


def test_a_read_only_file_system_says_so(mount: Mount) -> None:
    folder = mount("ro,size=64k")
    with pytest.raises(OutputError, match="read-only"):
        write_text(folder / "out.csv", "x")
    with pytest.raises(OutputError, match="read-only"):
        make_folder(folder / "run")
    with pytest.raises(OutputError, match="read-only"):
        make_folder(folder)


def test_a_folder_without_permission_says_so(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(OutputError, match="permission denied"):
            write_text(tmp_path / "x.txt", "x")
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.parametrize("below", ["x.txt", "deep/x.txt"])
def test_a_path_below_a_file_says_so(tmp_path: Path, below: str) -> None:
    write_text(tmp_path / "file", "a file")
    with pytest.raises(OutputError, match="file"):
        write_text(tmp_path / "file" / below, "x")
    with pytest.raises(OutputError, match="file"):
        make_folder(tmp_path / "file" / below)
    assert (tmp_path / "file").read_text() == "a file"


def test_a_folder_in_the_way_says_so_and_stays(tmp_path: Path) -> None:
    (tmp_path / "out.csv").mkdir()
    with pytest.raises(OutputError, match="folder of that name"):
        write_text(tmp_path / "out.csv", "x")
    assert os.listdir(tmp_path) == ["out.csv"]


def test_a_device_is_no_folder() -> None:
    with pytest.raises(OutputError, match="/dev/full"):
        make_folder("/dev/full")
    with pytest.raises(OutputError, match="/dev/full"):
        make_folder("/dev/full/run")
    with pytest.raises(OutputError, match="/dev/full"):
        write_text("/dev/full/run/x.txt", "x")


def test_an_unknown_refusal_still_names_the_file_and_the_reason() -> None:
    refused = pytest.raises(OutputError, match=r"Cannot write a\.png: .*too long")
    with refused, output_errors("a.png"):
        Path("x" * 5000).touch()


def test_make_folder_makes_parents_and_leaves_nothing_inside(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "a" / "b")
    assert folder == tmp_path / "a" / "b"
    assert make_folder(folder) == folder
    assert os.listdir(folder) == []
