"""Damaged at random: a row that says so, whatever decoder it would have taken down.

DICOM has no checksum. What can be noticed is all that is cut off, and damage to the structure; a
byte altered amid a compressed frame shows only where the decoder stumbles, and one altered amid
plain pixels never.
"""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from dicom_files import possible, reencode, write_dicom

from boneage.errors import UnreadableError
from boneage.radiographs.phantom import draw_phantom
from boneage.radiographs.radiograph import Sex
from boneage.radiographs.readers import read_radiograph

PIXELS = b"\xe0\x7f\x10\x00"  # Pixel Data (7FE0,0010), little-endian
PLAIN = ("explicit", "implicit")
SYNTAXES = (
    *PLAIN, "deflated", "rle", "jpeg baseline", "jpeg extended", "jpeg lossless",
    "jpeg lossless sv1", "jpeg-ls", "jpeg 2000",
)  # fmt: skip
EACH = 20


@dataclass(frozen=True)
class Damaged:
    """One damaged file: what it was, and where it was hit."""

    path: Path
    syntax: str
    kind: str


def damage(data, kind, random):
    """Cut a file off, or flip one to three bits of its header or of its compressed pixels."""
    begin = data.find(PIXELS) if PIXELS in data else 400
    if kind == "cut":
        return data[: random.integers(132, len(data) - 1)]
    result = bytearray(data)
    for _ in range(random.integers(1, 4)):
        at = (
            random.integers(132, begin + 8)
            if kind == "header"
            else random.integers(begin + 8, len(data))
        )
        result[at] ^= 1 << random.integers(8)
    return bytes(result)


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A hand in every transfer syntax."""
    folder = tmp_path_factory.mktemp("good")
    drawn = draw_phantom(120.0, Sex.MALE, rng=np.random.default_rng(1)).pixels
    files = {}
    for syntax in SYNTAXES:
        bits = 12 if possible(syntax, 12) else 8
        pixels = drawn if bits == 8 else drawn.astype(np.uint16) * 16
        plain = write_dicom(folder / "plain", pixels, bits, PatientSex="M", PatientAge="010Y")
        files[syntax] = reencode(plain, syntax, folder / f"{syntax.replace(' ', '-')}.dcm")
    (folder / "plain").unlink()
    return files


def test_200_damaged_files(run_cli, tmp_path, good):
    random = np.random.default_rng(2017)
    damaged = []
    for syntax, path in good.items():
        for number in range(EACH):
            kind = ("cut", "header", "pixels")[number % (2 if syntax in PLAIN else 3)]
            name = tmp_path / "damaged" / f"{path.stem}-{number:02d}.dcm"
            name.parent.mkdir(exist_ok=True)
            name.write_bytes(damage(path.read_bytes(), kind, random))
            damaged.append(Damaged(name, syntax, kind))
    # Named one by one: in a folder, what does not begin as a DICOM file would be left out.
    done = run_cli("predict", *good.values(), *(item.path for item in damaged), "--sex", "male",
                   timeout=300)  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert done.stderr == ""
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert len(rows) == len(good) + 200
    ages = dict(zip(good, (float(row["bone_age_months"]) for row in rows), strict=False))
    found = list(zip(damaged, rows[len(good) :], strict=True))
    assert all(row["message"] for _, row in found if row["status"] != "ok")
    wrong = [
        item
        for item, row in found
        if row["status"] == "ok" and float(row["bone_age_months"]) != ages[item.syntax]
    ]
    # What is cut off is always noticed; what else changes a number is amid compressed pixels.
    assert {row["status"] for item, row in found if item.kind == "cut"} == {"failed"}
    assert {item.kind for item in wrong} <= {"pixels"}
    assert {item.syntax for item in wrong}.isdisjoint(PLAIN)
    # Measured: 8 of 200, by 0.1 to 0.8 months.
    assert len(wrong) <= 20


def test_every_truncation_of_a_small_file(tmp_path):
    """Whatever length is left: an error, unless only what follows the pixels is gone."""
    pixels = np.random.default_rng(0).integers(0, 4096, (9, 11)).astype(np.uint16)
    plain = write_dicom(tmp_path / "plain", pixels, 12)
    for syntax in ("explicit", "implicit", "deflated", "rle"):
        data = reencode(plain, syntax, tmp_path / "whole").read_bytes()
        ends = 8 if syntax == "rle" else 0  # bytes of the delimiter; a padding byte may be there
        for length in range(len(data)):
            (tmp_path / "cut.dcm").write_bytes(data[:length])
            try:
                result = read_radiograph(tmp_path / "cut.dcm").pixels
            except UnreadableError:
                continue
            assert length >= len(data) - max(ends, 1)
            np.testing.assert_array_equal(result, pixels)
