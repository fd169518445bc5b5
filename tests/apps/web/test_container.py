"""What the Dockerfile promises, as far as it can be seen without Docker."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from api_tools import REPOSITORY, ApiServer, parts, rows
from dicom_files import write_dicom
from tiny_models import hand_pixels, write_hand

DOCKERFILE = (REPOSITORY / "Dockerfile").read_text()
TOKEN = "a-token-of-these-tests-0123"
# Every file system of a namespace of its own becomes read-only; then the rest of the words is run.
READ_ONLY = """
set -e
mount --make-rprivate /
mount --rbind / "$0"
for place in $(awk '{print $5}' /proc/self/mountinfo | grep "^$0" | tac); do
    case "${place#"$0"}" in
        /proc*|/sys*|/dev*) ;;
        *) mount -o remount,bind,ro "$place" ;;
    esac
done
exec chroot "$0" sh -c '
for place in /tmp /var/tmp /dev/shm "$PWD"; do
    [ -d "$place" ] && [ "$place" != /dev/shm ] && touch "$place/x" 2>/dev/null && exit 9
done
cd / && exec "$@"' sh "$@"
"""


def instructions() -> list[tuple[str, str]]:
    """Each instruction with its words, in order."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.M).replace("\\\n", " ")
    lines = [line.split(" ", 1) for line in text.splitlines() if line.strip()]
    return [(name, words) for name, words in lines]


def last(name: str) -> str:
    """The words of the last such instruction, which is the one that counts."""
    return [words for found, words in instructions() if found == name][-1]


def exec_form(words: str) -> list[str]:
    """The words of a command that is run without a shell."""
    return list(json.loads(words[words.index("[") :]))


def test_it_follows_from_the_light_install() -> None:
    (install,) = [words for name, words in instructions() if name == "RUN" and "pip" in words]
    arguments = shlex.split(install)
    assert arguments[1:] == ["install", "--no-cache-dir", "-c", "constraints.txt", ".[web,dicom]"]
    page = (REPOSITORY / "docs" / "how-to" / "serve.md").read_text()
    assert "pip install -c constraints.txt '.[web,dicom]'" in page
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    needs = project["dependencies"] + extras["web"] + extras["dicom"]
    assert not [need for need in needs if need.startswith(("torch", "matplotlib", "pytorch"))]
    wanted = re.search(r">=(\d+\.\d+)", project["requires-python"])
    images = [words.split()[0] for name, words in instructions() if name == "FROM"]
    assert images == ["python:3.12-slim"] * 2
    assert wanted is not None
    assert wanted[1] <= "3.12"


def test_what_is_copied_is_there_and_is_all_that_docker_gets() -> None:
    copied = {
        source
        for name, words in instructions()
        if name == "COPY" and not words.startswith("--from")
        for source in words.split()[:-1]
    }
    assert all((REPOSITORY / source).exists() for source in copied)
    lines = (REPOSITORY / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == copied


def test_nobody_is_root_and_no_shell_is_between() -> None:
    user, group = map(int, last("USER").split(":"))
    assert user > 0
    assert group > 0
    assert exec_form(last("ENTRYPOINT"))[:2] == ["boneage", "serve"]  # gets SIGTERM itself
    assert "CMD" not in {name for name, _ in instructions()}


def test_the_entrypoint_does_not_start_without_a_token() -> None:
    command = [sys.executable, "-m", *exec_form(last("ENTRYPOINT"))]
    environment = {k: v for k, v in os.environ.items() if k != "BONEAGE_TOKEN"}
    environment["PYTHONPATH"] = str(REPOSITORY / "src")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "BONEAGE_TOKEN" in done.stderr


def test_the_health_check_sees_health(api: ApiServer) -> None:
    assert "curl" not in last("HEALTHCHECK")
    program, flag, code = exec_form(last("HEALTHCHECK"))
    assert (program, flag) == ("python", "-c")
    own = str(api.http.base_url).rstrip("/")
    port = exec_form(last("ENTRYPOINT"))[-1]
    assert f"http://127.0.0.1:{port}/health" in code
    for url, status in ((own, 0), ("http://127.0.0.1:9", 1)):
        checked = code.replace(f"http://127.0.0.1:{port}", url)
        done = subprocess.run([sys.executable, "-c", checked], capture_output=True, check=False)
        assert done.returncode == status


@contextmanager
def read_only_server(root: Path, model: Path) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """The entrypoint in a namespace in which nothing can be written."""
    if shutil.which("unshare") is None or shutil.which("chroot") is None:
        pytest.skip("no unshare and chroot on this machine")
    namespace = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "-U", "-r", "--mount"]
    if subprocess.run([*namespace, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody make a file system read-only (unshare)")
    root.mkdir()
    entry = exec_form(last("ENTRYPOINT"))
    command = [sys.executable, "-m", *entry[:-1], "0", "--model", str(model), "--workers", "1"]
    process = subprocess.Popen(
        [*namespace, "sh", "-c", READ_ONLY, str(root), *command],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(REPOSITORY / "src"),
            "HOME": "/nonexistent",
            "BONEAGE_TOKEN": TOKEN,
        },
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout as said:
        found = re.fullmatch(r"Serving on http://0.0.0.0:(\d+)/\n", said.readline())
        try:
            if found is None and process.wait(10) not in (2, 9):
                pytest.skip("this machine lets nobody make a file system read-only (mount)")
            assert found is not None
            yield f"http://127.0.0.1:{found[1]}", process
        finally:
            process.kill()
            process.wait()


def test_it_works_where_nothing_can_be_written(tmp_path: Path, explaining: Path) -> None:
    files = [write_hand(tmp_path / name) for name in ("a.png", "b.jpg", "c.tif")]
    files.append(write_dicom(tmp_path / "d.dcm", hand_pixels(), PatientSex="F"))
    header = {"Authorization": f"Bearer {TOKEN}"}
    with read_only_server(tmp_path / "root", explaining) as (url, process):
        with httpx.Client(base_url=url, headers=header, timeout=60) as client:
            sent = parts([*files, ("large.png", files[0].read_bytes() + bytes(3_000_000))])
            answer = client.post("/api/v1/predictions", files=sent, data={"sex": "female"})
            assert [row["status"] for row in rows(answer)[:4]] == ["ok"] * 4
            report = client.post("/report", files=parts(files[:1]), data={"sex": "female"})
            assert report.status_code == 200
            assert client.get("/").status_code == 200
            # Those who look after a service in a cluster call it by the address that it has there.
            for host in ("10.1.2.3:8000", "[fd00::1]:8000"):
                assert client.get("/health", headers={"Host": host}).json()["status"] == "ok"
            assert client.get("/health", headers={"Host": "evil.example"}).status_code == 421
        process.terminate()
        assert process.wait(30) == 0
