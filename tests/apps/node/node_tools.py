"""A node and an archive in processes of their own, and DCMTK's programs that talk to them."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid
from tiny_models import hand_pixels

SOURCE = Path(__file__).parents[3] / "src"
PATIENT = "Doe^Jane"

# By full path: pynetdicom installs programs of the same names.
STORESCU, STORESCP, ECHOSCU = "/usr/bin/storescu", "/usr/bin/storescp", "/usr/bin/echoscu"

needs_dcmtk = pytest.mark.skipif(
    not all(os.access(program, os.X_OK) for program in (STORESCU, STORESCP, ECHOSCU)),
    reason="needs DCMTK's storescu, storescp and echoscu in /usr/bin",
)


def wait_for(what: Callable[[], bool], seconds: float = 90) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Instances:
    """Writes instances of drawn hands into a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._count = 0
        folder.mkdir()

    def make(
        self,
        count: int = 1,
        *,
        sex: str = "F",
        storage: str = ComputedRadiographyImageStorage,
        rows: int = 240,
        **changes: object,
    ) -> list[Path]:
        """Write some; ``changes`` are elements of the data set."""
        return [self._one(sex, storage, rows, changes) for _ in range(count)]

    def _one(self, sex: str, storage: str, rows: int, changes: dict[str, object]) -> Path:
        self._count += 1
        dataset = Dataset()
        dataset.SOPClassUID = storage
        dataset.SOPInstanceUID = generate_uid(entropy_srcs=[str(self.folder), str(self._count)])
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
        dataset.PatientName, dataset.PatientID, dataset.PatientSex = PATIENT, "PID4711", sex
        dataset.PatientBirthDate = dataset.StudyDate = "20150102"
        dataset.StudyTime = dataset.AccessionNumber = dataset.StudyID = ""
        dataset.ReferringPhysicianName, dataset.Modality = "", "CR"
        dataset.SeriesNumber = dataset.InstanceNumber = 1
        pixels = hand_pixels(0, rows, rows * 3 // 4)
        dataset.Rows, dataset.Columns = pixels.shape
        dataset.PhotometricInterpretation, dataset.SamplesPerPixel = "MONOCHROME2", 1
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
        dataset.PixelRepresentation = 0
        dataset.PixelData = np.ascontiguousarray(pixels).tobytes()
        for name, value in changes.items():
            setattr(dataset, name, value)
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        path = self.folder / f"{self._count:04d}.dcm"
        dataset.save_as(path, enforce_file_format=True)
        return path


class Archive:
    """DCMTK's storescp: keeps what it gets by SOP Instance UID."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        folder.mkdir()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str) -> None:
        """Listen."""
        self._process = subprocess.Popen(
            [STORESCP, "-aet", "ARCHIVE", "-od", str(self.folder), *options, str(self.port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def stop(self) -> None:
        """End it, if it runs."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def answers(self) -> list[Dataset]:
        """Every report that it has; what is still being written is left for the next look."""
        found = []
        for path in self._reports():
            try:
                found.append(pydicom.dcmread(path))
            except (pydicom.errors.InvalidDicomError, EOFError):
                continue
        return found

    def count(self) -> int:
        """How many reports it has."""
        return len(self._reports())

    def sources(self) -> list[str]:
        """SOP Instance UIDs that the results are of, sorted, one for each report."""
        return sorted(
            item.ReferencedSOPInstanceUID
            for answer in self.answers()
            for evidence in answer.get("CurrentRequestedProcedureEvidenceSequence", [])
            for series in evidence.ReferencedSeriesSequence
            for item in series.ReferencedSOPSequence
        )

    def _reports(self) -> list[Path]:
        """storescp begins the name of a file with what it is."""
        return list(self.folder.glob("SR*"))


class Node:
    """``boneage listen`` in a process of its own."""

    def __init__(self, queue: Path, bundle: Path, archive: Archive) -> None:
        self.queue, self.port = queue, free_port()
        self._bundle, self._archive = bundle, archive
        self._log = queue.parent / "node.log"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        """All that it has said."""
        return self._log.read_text()

    def start(self, *options: str) -> None:
        """Start it and wait until it listens."""
        before = self.log.count("listening on") if self._log.exists() else 0
        command = [sys.executable, "-m", "boneage", "listen", "--port", str(self.port)]
        command += ["--queue", str(self.queue), "--model", str(self._bundle)]
        command += ["--send-to", f"127.0.0.1:{self._archive.port}:ARCHIVE"]
        command += ["--retry-first", "0.2", "--retry-most", "1", "--reserve-mb", "0", *options]
        with open(self._log, "a") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONPATH": str(SOURCE)},
            )
        process = self.process
        wait_for(lambda: self.log.count("listening on") > before or process.poll() is not None, 120)
        assert process.poll() is None, self.log

    def kill(self) -> None:
        """End it with SIGKILL, if it runs."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def end(self) -> int:
        """End it with SIGTERM; its exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(60)
        self.process = None
        return status

    def send(
        self,
        *files: Path,
        options: tuple[str, ...] = (),
        caller: str = "MODALITY",
        port: int | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Send files with storescu, to another port if one is given."""
        return self._call(STORESCU, caller, *options, files=files, port=port)

    def echo(self, caller: str = "MODALITY", called: str = "BONEAGE") -> int:
        """C-ECHO; the exit status of echoscu."""
        return self._call(ECHOSCU, caller, called=called).returncode

    def left(self) -> list[str]:
        """The files of the queue but for its database and lock."""
        return sorted(
            path.relative_to(self.queue).as_posix()
            for path in self.queue.rglob("*")
            if path.is_file() and path.parent != self.queue
        )

    def _call(
        self,
        program: str,
        caller: str,
        *options: str,
        files: tuple[Path, ...] = (),
        called: str = "BONEAGE",
        port: int | None = None,
    ) -> subprocess.CompletedProcess[str]:
        command = [program, "-v", "-aec", called, "-aet", caller, *options, "127.0.0.1"]
        return subprocess.run(
            [*command, str(port or self.port), *map(str, files)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


def children_of(pid: int) -> list[int]:
    """The processes that a process has started."""
    found = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False
    )
    return [int(text) for text in found.stdout.split()]


has_ps = shutil.which("ps") is not None
