"""Damaged files: the measurement of benchmarks/web_fuzz.py in small."""

import re
import subprocess
import sys
from pathlib import Path

from api_tools import REPOSITORY

COUNT = 200


def test_damaged_files_are_no_faults_of_the_server(explaining: Path) -> None:
    script = REPOSITORY / "benchmarks" / "web_fuzz.py"
    done = subprocess.run(
        [sys.executable, script, "--count", str(COUNT), "--model", explaining, "--seed", "1"],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{COUNT} requests; workers that died or took too long: 0" in done.stdout
    kinds = re.findall(r"^(PNG|JPEG|TIFF|DICOM|the form) ", done.stdout, re.M)
    assert sorted(kinds) == ["DICOM", "JPEG", "PNG", "TIFF", "the form"]
    assert done.stderr == ""
