"""Damaged files for the web app: what it answers, and what its answers give away.

    python benchmarks/web_fuzz.py [--count 2000] [--model ...] [--seed 0] [--workers 1]

Drawn hands as PNG, JPEG, TIFF and DICOM files are cut short, overwritten, spliced and given false
sizes, and sent to ``boneage serve`` by each of its ways in; some forms are damaged themselves. No
answer may be a fault of the server (5xx), hold a path of this machine or a traceback, or keep the
server waiting for the next. Prints a table; the exit status is 1 if anything of that happened.
"""

import argparse
import collections
import http.client
import io
import os
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, RLELossless

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "src"))

from boneage.radiographs.phantom import draw_phantom  # noqa: E402
from boneage.radiographs.radiograph import Sex  # noqa: E402

BOUNDARY = b"boneage-fuzz"
ROUTES = ("/api/v1/predictions", "/inspect", "/view", "/results", "/report")
SHARE_OF_FORMS = 0.1
# "File " and a line number is how Python shows where it was.
GIVEN_AWAY = [
    rb"Traceback \(most recent", rb'File "', rb"line \d+, in ", rb"site-packages", rb"/boneage/",
    rb"/proc/self", rb"0x[0-9a-f]{8,}",
]  # fmt: skip

Damage = Callable[[bytes, random.Random], bytes]


def cut(data: bytes, draw: random.Random) -> bytes:
    return data[: draw.randrange(len(data))]


def flip(data: bytes, draw: random.Random) -> bytes:
    made = bytearray(data)
    for _ in range(draw.choice([1, 4, 16, 64])):
        made[draw.randrange(len(made))] = draw.randrange(256)
    return bytes(made)


def flip_head(data: bytes, draw: random.Random) -> bytes:
    made = bytearray(data)
    for _ in range(draw.choice([1, 2, 8])):
        made[draw.randrange(min(len(made), 600))] = draw.randrange(256)
    return bytes(made)


def blank(data: bytes, draw: random.Random) -> bytes:
    at, size = draw.randrange(len(data)), draw.choice([4, 100, 4000])
    return data[:at] + bytes([draw.choice([0, 255])]) * size + data[at + size :]


def insert(data: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(data))
    return data[:at] + draw.randbytes(draw.choice([1, 7, 500])) + data[at:]


def repeat(data: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(data))
    size = draw.randrange(1, 3000)
    return data[: at + size] + data[at:]


def extreme(data: bytes, draw: random.Random) -> bytes:
    """A size, a count or an offset that no file has."""
    at = draw.randrange(min(len(data), 600))
    value = draw.choice([0, 1, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 0x80000000])
    number = value.to_bytes(4, draw.choice(["little", "big"]))
    return data[:at] + number[: draw.choice([2, 4])] + data[at + 4 :]


def signature_alone(data: bytes, draw: random.Random) -> bytes:
    return data[: draw.choice([4, 8, 140])] + draw.randbytes(draw.choice([0, 10, 5000]))


def nothing(data: bytes, draw: random.Random) -> bytes:
    return b"" if draw.random() < 0.3 else draw.randbytes(len(data) // 8)


DAMAGES: tuple[Damage, ...] = (
    cut, flip, flip, flip_head, flip_head, blank, insert, repeat, extreme, extreme,
    signature_alone, nothing,
)  # fmt: skip


def hand(depth: type) -> np.ndarray:
    pixels = draw_phantom(120.0, Sex.FEMALE, rng=np.random.default_rng(0), height_px=240).pixels
    eight = pixels if pixels.dtype == np.uint8 else (pixels // 257).astype(np.uint8)
    return eight if depth is np.uint8 else eight.astype(np.uint16) * 257


def dicom(pixels: np.ndarray, *, packed: bool = False) -> bytes:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = ComputedRadiographyImageStorage, "1.2.3"
    dataset.PatientName, dataset.PatientID = "Secret^Name", "SECRET-7"
    dataset.PatientSex, dataset.PatientBirthDate, dataset.StudyDate = "F", "20100101", "20200101"
    dataset.Modality, dataset.Rows, dataset.Columns = "CR", *pixels.shape
    dataset.PhotometricInterpretation, dataset.SamplesPerPixel = "MONOCHROME2", 1
    dataset.BitsAllocated = dataset.BitsStored = 8 * pixels.itemsize
    dataset.HighBit, dataset.PixelRepresentation = dataset.BitsStored - 1, 0
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.PixelData = pixels.tobytes()
    dataset["PixelData"].VR = "OW" if pixels.itemsize == 2 else "OB"
    if packed:
        dataset.compress(RLELossless, generate_instance_uid=False)
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, dataset, enforce_file_format=True)
    return stream.getvalue()


def whole_files() -> dict[str, list[bytes]]:
    """Files without damage, by format."""

    def encoded(suffix: str, pixels: np.ndarray, *options: int) -> bytes:
        return bytes(cv2.imencode(suffix, pixels, options)[1].tobytes())

    eight, sixteen = hand(np.uint8), hand(np.uint16)
    colour = cv2.cvtColor(eight, cv2.COLOR_GRAY2BGR)
    lzw, deflate = 5, 8
    return {
        "PNG": [encoded(".png", picture) for picture in (eight, sixteen, colour)],
        "JPEG": [
            encoded(".jpg", eight),
            encoded(".jpg", colour),
            encoded(".jpg", eight, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
        ],
        "TIFF": [
            encoded(".tif", sixteen),
            encoded(".tif", eight, cv2.IMWRITE_TIFF_COMPRESSION, lzw),
            encoded(".tif", eight, cv2.IMWRITE_TIFF_COMPRESSION, deflate),
        ],
        "DICOM": [dicom(eight), dicom(sixteen), dicom(sixteen, packed=True)],
    }


@dataclass(frozen=True)
class Sent:
    """A request and what it is made of."""

    kind: str
    route: str
    body: bytes


def requests(count: int, seed: int) -> list[Sent]:
    draw = random.Random(seed)
    files = whole_files()
    kinds = list(files)
    made = []
    for number in range(count):
        kind, route = kinds[number % len(kinds)], ROUTES[number // len(kinds) % len(ROUTES)]
        data = draw.choice(files[kind])
        for _ in range(draw.choice([1, 1, 2])):
            data = draw.choice(DAMAGES)(data, draw) or b""
            if not data:
                break
        body = form(f"hand-{number}.{kind.lower()}", data)
        if draw.random() < SHARE_OF_FORMS:
            kind, body = "the form", draw.choice((cut, flip_head, insert, repeat))(body, draw)
        made.append(Sent(kind, route, body))
    return made


def form(name: str, data: bytes) -> bytes:
    head = b'--%b\r\nContent-Disposition: form-data; name="sex"\r\n\r\nfemale\r\n' % BOUNDARY
    head += b'--%b\r\nContent-Disposition: form-data; name="files"; filename="%b"\r\n\r\n' % (
        BOUNDARY,
        name.encode(),
    )
    return head + data + b"\r\n--%b--\r\n" % BOUNDARY


def places() -> list[re.Pattern[bytes]]:
    """What no answer may hold."""
    paths = {REPOSITORY, Path(sys.prefix), Path(sys.base_prefix), Path.home(), Path.cwd()}
    paths |= {Path(tempfile.gettempdir()), Path(os.__file__).parent}
    named = [re.escape(str(path)).encode() for path in paths if len(path.parts) > 1]
    return [re.compile(pattern) for pattern in [*named, *GIVEN_AWAY, rb"Secret\^|SECRET-7"]]


def start(options: argparse.Namespace) -> tuple["subprocess.Popen[str]", int]:
    command = [sys.executable, "-m", "boneage", "serve", "--port", "0"]
    command += ["--workers", str(options.workers), "--work-timeout", "20"]
    command += [] if options.model is None else ["--model", options.model]
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src")}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)
    assert process.stdout is not None
    found = re.match(r"Serving on http://127.0.0.1:(\d+)/", process.stdout.readline())
    if found is None:
        raise SystemExit("boneage serve did not start.")
    return process, int(found[1])


def counter(port: int, name: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    return next(int(float(line.split()[1])) for line in text.splitlines() if line.startswith(name))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--model")
    options = parser.parse_args()
    process, port = start(options)
    outcomes: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    faults, forbidden = [], places()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    kind = {"Content-Type": "multipart/form-data; boundary=" + BOUNDARY.decode()}
    for number, sent in enumerate(requests(options.count, options.seed)):
        connection.request("POST", sent.route, sent.body, {**kind, "Accept": "*/*"})
        answer = connection.getresponse()
        text = answer.read()
        found = re.search(rb'"status":"(ok|refused|failed)"', text)
        other = "other 200" if answer.status == 200 else str(answer.status)
        outcome = found[1].decode() if found and answer.status == 200 else other
        outcomes[sent.kind][outcome] += 1
        told = [pattern.pattern for pattern in forbidden if pattern.search(text)]
        if answer.status >= 500 or told:
            faults.append(f"request {number}, {sent.kind} to {sent.route}: {answer.status} {told}")
    connection.close()
    deaths = counter(port, "boneage_worker_deaths_total")
    process.terminate()
    status = process.wait(30)
    columns = sorted({name for counts in outcomes.values() for name in counts})
    print(f"{'':10s}" + "".join(f"{name:>10s}" for name in columns))
    for name, counts in outcomes.items():
        print(f"{name:10s}" + "".join(f"{counts[column]:10d}" for column in columns))
    print(f"{options.count} requests; workers that died or took too long: {deaths}")
    print(f"faults of the server, or places and tracebacks in answers: {len(faults)}")
    for fault in faults[:20]:
        print(f"  {fault}")
    print(f"exit status of the server: {status}")
    raise SystemExit(1 if faults or status else 0)


if __name__ == "__main__":
    main()
