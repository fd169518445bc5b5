import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from boneage.errors import SettingsError
from boneage.training.hardware import choose_hardware
from boneage.training.settings import TrainingSettings

PAGES_FETCHED = """
import resource, sys
from boneage.training.hardware import keep_freed_memory

def fetched():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

size = 64 << 20
if sys.argv[1] == "keep":
    keep_freed_memory()
b"1" * size
before = fetched()
for _ in range(5):
    b"1" * size
print(fetched() - before)
"""


def pages_fetched(mode: str) -> int:
    command = [sys.executable, "-c", PAGES_FETCHED, mode]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=env)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_memory_that_was_freed_is_not_fetched_again() -> None:
    assert pages_fetched("leave") > 1000
    assert pages_fetched("keep") < 100


def test_what_is_asked_for_goes_before_what_is_found() -> None:
    hardware = choose_hardware(TrainingSettings(device="cpu", precision="float32"))
    assert (hardware.accelerator, hardware.precision) == ("cpu", "32-true")
    assert choose_hardware(TrainingSettings(device="cpu", precision="bf16")).precision == (
        "bf16-mixed"
    )


def test_a_device_that_is_not_there_is_an_error() -> None:
    absent = "mps" if sys.platform != "darwin" else "cuda"
    with pytest.raises(SettingsError, match=f"--device {absent}"):
        choose_hardware(TrainingSettings(device=absent))
