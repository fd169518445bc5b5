"""The DICOM node under load, killed in between: answers in the archive, rate and memory.

    python benchmarks/node.py [--count 1000] [--clients 8] [--kills 3] [--workers 1] [--model ...]

Phantoms go to ``boneage listen`` by several of DCMTK's storescu at once, five instances for each
association; an association that fails is repeated whole, as modalities do it. The node is killed
with SIGKILL at equal shares of the answers and started again each time. The archive is DCMTK's
storescp, which keeps a file for each SOP Instance UID: it must have one answer for each instance in
the end. How many it was sent again is told as well. Memory is sampled from /proc every second.
"""

import argparse
import queue
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid

SOURCE = Path(__file__).resolve().parent.parent / "src"
sys.path.insert(0, str(SOURCE))

from boneage.radiographs.phantom import draw_phantom  # noqa: E402
from boneage.radiographs.radiograph import Sex  # noqa: E402

PHANTOMS = 20
IN_ASSOCIATION = 5
HEIGHT_PX = 400


def write_instances(folder: Path, count: int) -> list[Path]:
    rng = np.random.default_rng(0)
    hands = []
    for number in range(PHANTOMS):
        sex = Sex.MALE if number % 2 else Sex.FEMALE
        months = float(rng.uniform(60, 200))
        pixels = draw_phantom(months, sex, rng=rng, height_px=HEIGHT_PX).pixels
        if pixels.dtype != np.uint8:
            pixels = cv2.convertScaleAbs(pixels, alpha=255 / 65535)
        hands.append((sex, pixels))
    return [write_instance(folder / f"{n:06d}.dcm", *hands[n % PHANTOMS]) for n in range(count)]


def write_instance(path: Path, sex: Sex, pixels: np.ndarray) -> Path:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = ComputedRadiographyImageStorage, generate_uid()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    dataset.PatientName, dataset.PatientID = "Phantom", path.stem
    dataset.PatientSex = sex.value[0].upper()
    dataset.PatientBirthDate = dataset.StudyDate = "20150101"
    dataset.StudyTime = dataset.AccessionNumber = dataset.StudyID = ""
    dataset.ReferringPhysicianName, dataset.Modality = "", "CR"
    dataset.SeriesNumber = dataset.InstanceNumber = 1
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.PhotometricInterpretation, dataset.SamplesPerPixel = "MONOCHROME2", 1
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    dataset.PixelRepresentation, dataset.PixelData = 0, pixels.tobytes()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.save_as(path, enforce_file_format=True)
    return path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Node:
    """``boneage listen``, started anew whenever it was killed."""

    def __init__(self, folder: Path, archive_port: int, workers: int, model: str | None) -> None:
        self.port, self._log = free_port(), folder / "node.log"
        self._log.touch()
        self._command = [sys.executable, "-m", "boneage", "listen", "--port", str(self.port)]
        self._command += ["--queue", str(folder / "queue"), "--workers", str(workers)]
        self._command += ["--send-to", f"127.0.0.1:{archive_port}:ARCHIVE"]
        self._command += [] if model is None else ["--model", model]
        self.start()

    def start(self) -> None:
        """Start it and wait until it listens."""
        begun = self.said("listening on")
        with open(self._log, "a") as log:
            self.process = subprocess.Popen(
                self._command, stderr=log, env={"PYTHONPATH": str(SOURCE), "PATH": "/usr/bin:/bin"}
            )
        while self.said("listening on") == begun:
            assert self.process.poll() is None, self._log.read_text()
            time.sleep(0.05)

    def said(self, words: str) -> int:
        """How often these words are in its log."""
        return self._log.read_text().count(words)

    def kill(self) -> None:
        """End it with SIGKILL."""
        self.process.kill()
        self.process.wait()

    def end(self) -> str:
        """End it with SIGTERM; the last line of its log."""
        self.process.terminate()
        assert self.process.wait(60) == 0
        return self._log.read_text().splitlines()[-1]

    def memory_mib(self) -> tuple[float, float]:
        """Of the node and of all its workers."""
        own = resident_mib(self.process.pid)
        listed = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self.process.pid)],
            capture_output=True,
            text=True,
            check=False,
        )
        return own, sum(resident_mib(int(pid)) for pid in listed.stdout.split())


def resident_mib(pid: int) -> float:
    """Memory that is of the process alone or shared, in MiB."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def client(port: int, batches: "queue.Queue[list[Path]]") -> None:
    while True:
        try:
            files = batches.get_nowait()
        except queue.Empty:
            return
        command = ["/usr/bin/storescu", "-aec", "BONEAGE", "-aet", "CLIENT", "127.0.0.1", str(port)]
        while subprocess.run([*command, *files], capture_output=True, check=False).returncode:
            time.sleep(0.5)


def thirds(samples: list[float]) -> str:
    """Medians of the first and the last third."""
    part = max(len(samples) // 3, 1)
    first, last = statistics.median(samples[:part]), statistics.median(samples[-part:])
    return f"{first:.0f} MiB, {last:.0f} MiB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--model")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        measure(Path(name), options)


def measure(folder: Path, options: argparse.Namespace) -> None:
    for part in ("instances", "archive"):
        (folder / part).mkdir()
    files = write_instances(folder / "instances", options.count)
    batches: queue.Queue[list[Path]] = queue.Queue()
    for start in range(0, len(files), IN_ASSOCIATION):
        batches.put(files[start : start + IN_ASSOCIATION])
    archive_port = free_port()
    with open(folder / "archive.log", "w") as log:
        archive = subprocess.Popen(
            ["/usr/bin/storescp", "-v", "-od", str(folder / "archive"), str(archive_port)],
            stdout=log,
            stderr=log,
        )
    node = Node(folder, archive_port, options.workers, options.model)
    clients = [
        threading.Thread(target=client, args=(node.port, batches)) for _ in range(options.clients)
    ]
    start, received = time.monotonic(), 0.0
    for one in clients:
        one.start()
    memory: list[tuple[float, float]] = []
    killed = 0
    while True:
        answers = len(list((folder / "archive").iterdir()))
        if not received and not any(one.is_alive() for one in clients):
            received = time.monotonic() - start
        if killed < options.kills and answers >= options.count * (killed + 1) / (options.kills + 1):
            node.kill()
            killed += 1
            node.start()
        if answers >= options.count and received:
            break
        memory.append(node.memory_mib())
        time.sleep(1)
    seconds = time.monotonic() - start
    print(node.end(), file=sys.stderr)
    archive.kill()
    archive.wait()
    stores = (folder / "archive.log").read_text().count("Received Store Request")
    left = [path for path in (folder / "queue").glob("*/*") if path.is_file()]
    answered = [
        str(item.ReferencedSOPInstanceUID)
        for path in (folder / "archive").iterdir()
        for evidence in pydicom.dcmread(path).CurrentRequestedProcedureEvidenceSequence
        for series in evidence.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    ]
    sources = [pydicom.dcmread(file, stop_before_pixels=True).SOPInstanceUID for file in files]
    print(f"instances                    {options.count}, by {options.clients} clients")
    print(f"killed                       {killed} times")
    print(f"answers in the archive       {len(answered)}, of {len(set(answered))} instances")
    print(f"  one for each instance      {sorted(answered) == sorted(map(str, sources))}")
    print(f"  sent again                 {stores - len(answered)}")
    print(f"files left in the queue      {len(left)}")
    print(f"all received after           {received:.0f} s")
    print(f"all answered after           {seconds:.0f} s: {options.count / seconds:.1f} a second")
    print(f"memory of the node           {thirds([own for own, _ in memory])}")
    print(f"memory of its workers        {thirds([below for _, below in memory])}")


if __name__ == "__main__":
    main()
