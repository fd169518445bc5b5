"""Files that are in memory: the same radiographs and the same errors as from the disk."""

from datetime import date
from pathlib import Path

import cv2
import numpy as np
import pytest
from dicom_files import write_dicom

from boneage.errors import RadiographError, UnreadableError
from boneage.radiographs.radiograph import Sex
from boneage.radiographs.readers import (
    ChildInFile,
    ReadLimits,
    child_in_bytes,
    read_radiograph,
    read_radiograph_bytes,
)

GREY = np.random.default_rng(0).integers(0, 255, (60, 40), np.uint8)


@pytest.mark.parametrize("name", ["a.png", "b.jpg", "c.tif", "d.dcm"])
def test_the_same_radiograph(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.endswith("dcm"):
        write_dicom(path, GREY, PatientSex="M")
    else:
        path.write_bytes(cv2.imencode(path.suffix, GREY)[1].tobytes())
    read, held = read_radiograph(path), read_radiograph_bytes(path.read_bytes(), name)
    assert np.array_equal(read.pixels, held.pixels)
    assert (read.source, read.sex) == (held.source, held.sex)
    assert read_radiograph_bytes(path.read_bytes(), name, sex="F").sex is Sex.FEMALE


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"])
def test_the_same_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "damaged.png"
    path.write_bytes(content)
    with pytest.raises(RadiographError) as read:
        read_radiograph(path)
    with pytest.raises(type(read.value)) as held:
        read_radiograph_bytes(content, "damaged.png")
    assert str(held.value) == str(read.value)


def test_limits_hold_for_bytes() -> None:
    limits = ReadLimits(max_file_bytes=10)
    with pytest.raises(UnreadableError, match="x: it is 11 bytes, beyond the limit of 10"):
        read_radiograph_bytes(bytes(11), "x", limits=limits)


def test_what_a_header_says_of_the_child(tmp_path: Path) -> None:
    said = {"PatientSex": "F", "PatientBirthDate": "20100501", "StudyDate": "20200501"}
    data = write_dicom(tmp_path / "a.dcm", GREY, **said).read_bytes()
    found = child_in_bytes(data)
    assert (found.sex, found.taken) == (Sex.FEMALE, date(2020, 5, 1))
    assert found.age_months == pytest.approx(120, abs=0.05)
    silent = {"PatientSex": "O", "StudyDate": "00000000"}
    data = write_dicom(tmp_path / "b.dcm", GREY, **silent).read_bytes()
    assert child_in_bytes(data) == ChildInFile()
    for other in (b"", b"no DICOM", data[:-10], data[:200]):
        assert child_in_bytes(other) == ChildInFile()
