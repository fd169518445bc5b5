"""DICOM in every transfer syntax reads back as it was written; what is no hand is refused."""

import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_files import LOSSY, SYNTAXES, hand_dataset, possible, reencode, write_dicom
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

import boneage
from boneage.errors import UnreadableError, UnsuitableError
from boneage.radiographs.phantom import draw_phantom
from boneage.radiographs.radiograph import Sex
from boneage.radiographs.readers import ReadLimits, age_months_in_file, read_radiograph

SOURCE = Path(boneage.__file__).parents[1]


@pytest.fixture(scope="module")
def hand():
    """A drawn hand, float64 in 0..1, with an odd number of pixels."""
    drawn = draw_phantom(110.0, Sex.FEMALE, rng=np.random.default_rng(3), height_px=251).pixels
    grey = drawn[:, : drawn.shape[1] // 2 * 2 - 1].astype(np.float64)
    return (grey - grey.min()) / np.ptp(grey)


def with_bits(hand, bits):
    return np.rint(hand * (2**bits - 1)).astype(np.uint8 if bits <= 8 else np.uint16)


GRID = np.random.default_rng(0).integers(0, 4096, (20, 30)).astype(np.uint16)


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("polarity", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_every_transfer_syntax(tmp_path, capfd, hand, syntax, polarity, bits):
    if not possible(syntax, bits):
        return
    pixels = with_bits(hand, bits)
    top = 2**bits - 1
    stored = top - pixels if polarity == "MONOCHROME1" else pixels
    plain = write_dicom(tmp_path / "plain", stored, bits, PhotometricInterpretation=polarity)
    result = read_radiograph(reencode(plain, syntax, tmp_path / "hand.dcm")).pixels
    assert result.dtype == pixels.dtype
    if syntax in LOSSY:
        assert np.abs(result.astype(float) - pixels).mean() < top * 0.005
    else:
        np.testing.assert_array_equal(result, pixels)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "syntax", ["explicit", "big endian", "rle", "jpeg lossless sv1", "jpeg-ls"]
)
def test_signed(tmp_path, hand, syntax):
    pixels = (with_bits(hand, 12).astype(np.int32) - 2048).astype(np.int16)
    plain = write_dicom(tmp_path / "plain", pixels, 12)
    result = read_radiograph(reencode(plain, syntax, tmp_path / "hand.dcm")).pixels
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, pixels)
    plain = write_dicom(tmp_path / "plain", pixels, 12, PhotometricInterpretation="MONOCHROME1")
    result = read_radiograph(reencode(plain, syntax, tmp_path / "hand.dcm")).pixels
    np.testing.assert_array_equal(result, -1 - pixels.astype(np.float32))


FOREIGN = Path(pydicom.__file__).parent / "data" / "test_files"


@pytest.mark.parametrize(
    "name",
    ["image_dfl.dcm", "JPEG2000.dcm", "JPEGLSNearLossless_08.dcm", "JPEGLSNearLossless_16.dcm"],
)
def test_files_of_other_devices(name):
    """They come with pydicom, and with oddities: a checksum after deflated data, padding by FF."""
    wanted = pydicom.dcmread(FOREIGN / name).pixel_array
    np.testing.assert_array_equal(read_radiograph(FOREIGN / name).pixels, wanted)


@pytest.mark.parametrize(
    "kind", ["RLE", "bigendian", "expb", "implicit", "jp2klossless", "jpeg_ls_lossless"]
)
def test_one_picture_in_several_files(kind):
    """Signed values with a window, from one device, put into other transfer syntaxes by others."""
    wanted = read_radiograph(FOREIGN / "MR_small.dcm").pixels
    found = read_radiograph(FOREIGN / f"MR_small_{kind}.dcm").pixels
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("name", ["JPGExtended.dcm", "JPEG-lossy.dcm"])
def test_twelve_bits_that_pydicom_does_not_decode(name):
    pixels = read_radiograph(FOREIGN / name).pixels
    assert pixels.shape == (1024, 256)
    assert 255 < pixels.max() < 4096


def test_a_checksum_after_deflated_data_is_checked(tmp_path):
    data = bytearray((FOREIGN / "image_dfl.dcm").read_bytes())
    data[-6] ^= 1
    (tmp_path / "hand.dcm").write_bytes(data)
    with pytest.raises(UnreadableError, match="deflated DICOM file is damaged"):
        read_radiograph(tmp_path / "hand.dcm")


def test_bits_that_are_not_stored_do_not_matter(tmp_path):
    overlay = np.uint16(1 << 14)
    path = write_dicom(tmp_path / "a.dcm", GRID | overlay, 12)
    np.testing.assert_array_equal(read_radiograph(path).pixels, GRID)
    path = write_dicom(tmp_path / "b.dcm", GRID << 4 | 9, 12, HighBit=15)
    np.testing.assert_array_equal(read_radiograph(path).pixels, GRID)


@pytest.mark.parametrize("syntax", ["rle", "deflated"])
def test_bits_that_no_encoder_sets_are_damage(tmp_path, syntax):
    plain = write_dicom(tmp_path / "plain", GRID | np.uint16(1 << 14), 12)
    with pytest.raises(UnreadableError, match="exceed 12 bits"):
        read_radiograph(reencode(plain, syntax, tmp_path / "hand.dcm"))


@pytest.mark.parametrize("syntax", ["jpeg lossless", "jpeg-ls", "jpeg 2000"])
def test_a_frame_in_fragments(tmp_path, hand, syntax):
    pixels = with_bits(hand, 16)
    path = reencode(write_dicom(tmp_path / "plain", pixels), syntax, tmp_path / "hand.dcm")
    dataset = pydicom.dcmread(path)
    (frame,) = pydicom.encaps.generate_frames(dataset.PixelData, number_of_frames=1)
    dataset.PixelData = pydicom.encaps.encapsulate([frame], fragments_per_frame=5)
    dataset.save_as(path)
    np.testing.assert_array_equal(read_radiograph(path).pixels, pixels)


@pytest.mark.parametrize(
    ("name", "value"), [("Rows", 250), ("Columns", 300), ("SamplesPerPixel", 3)]
)
@pytest.mark.parametrize("syntax", ["jpeg lossless", "jpeg-ls", "rle"])
def test_a_frame_that_is_not_what_the_header_says(tmp_path, hand, syntax, name, value):
    plain = write_dicom(tmp_path / "plain", with_bits(hand, 12), 12)
    dataset = pydicom.dcmread(reencode(plain, syntax, tmp_path / "hand.dcm"))
    setattr(dataset, name, value)
    dataset.save_as(tmp_path / "hand.dcm")
    with pytest.raises(UnreadableError, match=r"hand\.dcm"):
        read_radiograph(tmp_path / "hand.dcm")


@pytest.mark.parametrize(
    "syntax", ["rle", "jpeg baseline", "jpeg lossless", "jpeg-ls", "jpeg 2000"]
)
@pytest.mark.parametrize("missing", [0.5, 0.02])
def test_a_frame_that_is_cut_short(tmp_path, hand, syntax, missing):
    """Whole items around half a frame, as a writer leaves them that was itself given half."""
    plain = write_dicom(tmp_path / "plain", with_bits(hand, 8))
    dataset = pydicom.dcmread(reencode(plain, syntax, tmp_path / "hand.dcm"))
    (frame,) = pydicom.encaps.generate_frames(dataset.PixelData, number_of_frames=1)
    dataset.PixelData = pydicom.encaps.encapsulate([frame[: int(len(frame) * (1 - missing))]])
    dataset.save_as(tmp_path / "hand.dcm")
    with pytest.raises(UnreadableError, match="damaged"):
        read_radiograph(tmp_path / "hand.dcm")


def test_what_gdcm_says_of_damage_is_heard(tmp_path, hand):
    """Scan data cut amid, with the end marker in place: GDCM fills the rest and goes on."""
    plain = write_dicom(tmp_path / "plain", with_bits(hand, 16))
    dataset = pydicom.dcmread(reencode(plain, "jpeg lossless", tmp_path / "hand.dcm"))
    (frame,) = pydicom.encaps.generate_frames(dataset.PixelData, number_of_frames=1)
    short = frame[: len(frame) // 2].rstrip(b"\xff") + b"\xff\xd9"
    dataset.PixelData = pydicom.encaps.encapsulate([short])
    dataset.save_as(tmp_path / "hand.dcm")
    with pytest.raises(UnreadableError, match="compressed pixels are damaged"):
        read_radiograph(tmp_path / "hand.dcm")


def test_bytes_in_big_endian_words_change_places(tmp_path):
    pixels = (GRID >> 4).astype(np.uint8)
    dataset = hand_dataset(pixels)
    dataset.PixelData = pixels.reshape(-1, 2)[:, ::-1].tobytes()
    dataset["PixelData"].VR = "OW"
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRBigEndian
    dataset.save_as(tmp_path / "hand.dcm", enforce_file_format=True, little_endian=False)
    swapped = read_radiograph(tmp_path / "hand.dcm").pixels
    # pydicom, which reads such files too, is asked what is right.
    np.testing.assert_array_equal(swapped, pydicom.dcmread(tmp_path / "hand.dcm").pixel_array)


@pytest.mark.parametrize("implicit", [True, False])
def test_without_a_preamble(tmp_path, implicit):
    dataset = hand_dataset(GRID, 12, PatientSex="M")
    del dataset.file_meta
    dataset.save_as(tmp_path / "hand", implicit_vr=implicit, little_endian=True)
    assert (tmp_path / "hand").read_bytes()[128:132] != b"DICM"
    radiograph = read_radiograph(tmp_path / "hand")
    np.testing.assert_array_equal(radiograph.pixels, GRID)
    assert radiograph.sex is Sex.MALE


def test_what_the_header_says(tmp_path):
    path = write_dicom(
        tmp_path / "1.2.840.5", GRID, 12, PatientSex="F", PatientAge="011Y",
        PatientBirthDate="20100103", StudyDate="20210910", AcquisitionDate="20210703",
        ImagerPixelSpacing=[0.15, 0.2], EstimatedRadiographicMagnificationFactor="1.25",
        BodyPartExamined="HAND", ImageLaterality="L", ViewPosition="PA",
    )  # fmt: skip
    radiograph = read_radiograph(path)
    assert radiograph.sex is Sex.FEMALE
    assert radiograph.chronological_age_months == pytest.approx(138, abs=0.05)
    assert age_months_in_file(path) == radiograph.chronological_age_months
    assert radiograph.spacing_mm == pytest.approx((0.12, 0.16))
    assert (radiograph.body_part, radiograph.laterality, radiograph.view) == ("HAND", "left", "PA")
    assert radiograph.source == "1.2.840.5"
    assert read_radiograph(path, sex="male").sex is Sex.MALE


@pytest.mark.parametrize(
    ("spacing", "wanted"),
    [
        ({}, None),
        ({"PixelSpacing": [0.2, 0.1]}, (0.2, 0.1)),
        ({"PixelSpacing": [0, 0.1]}, None),
        ({"PixelSpacing": [0.2, 0.1], "ImagerPixelSpacing": [0.3, 0.3]}, (0.2, 0.1)),
        (
            {
                "PixelSpacing": [0.3, 0.3],
                "ImagerPixelSpacing": [0.3, 0.3],
                "EstimatedRadiographicMagnificationFactor": "1.5",
            },
            (0.2, 0.2),
        ),
        (
            {
                "PixelSpacing": [0.3, 0.3],
                "ImagerPixelSpacing": [0.3, 0.3],
                "EstimatedRadiographicMagnificationFactor": "1.5",
                "PixelSpacingCalibrationType": "FIDUCIAL",
            },
            (0.3, 0.3),
        ),
        ({"NominalScannedPixelSpacing": [0.1, 0.1]}, (0.1, 0.1)),
    ],
)
def test_spacing(tmp_path, spacing, wanted):
    found = read_radiograph(write_dicom(tmp_path / "hand.dcm", GRID, 12, **spacing)).spacing_mm
    assert found == (None if wanted is None else pytest.approx(wanted))


@pytest.mark.parametrize(
    ("age", "born", "wanted"),
    [
        ("011Y", None, 132), ("030M", None, 30), ("052W", None, 11.96), ("120Y", None, None),
        ("011Y", "18990101", 132), ("011Y", "20230101", 132), (None, "18990101", None),
        (None, "20230101", None), (None, "20210701", 0), ("eleven", "20110701", 120),
        ("011Y", "20180101", None), (None, None, None), (None, "20110231", None),
    ],
)  # fmt: skip
def test_age(tmp_path, age, born, wanted):
    given = {"PatientAge": age, "PatientBirthDate": born, "StudyDate": "20210701"}
    given = {name: value for name, value in given.items() if value is not None}
    path = write_dicom(tmp_path / "hand.dcm", GRID, 12, **given)
    found = read_radiograph(path).chronological_age_months
    assert found == (None if wanted is None else pytest.approx(wanted, abs=0.05))


@pytest.mark.parametrize("sex", ["O", "", "?"])
def test_a_sex_that_says_nothing(tmp_path, sex):
    path = write_dicom(tmp_path / "hand.dcm", GRID, 12, PatientSex=sex)
    assert read_radiograph(path).sex is None


@pytest.mark.parametrize(
    "part", ["HAND", "WRIST", "EXTREMITY", "UPPER LIMB", "", "LINKE HAND", "XYZ", "FOREARM", "Hand"]
)
def test_parts_that_pass(tmp_path, part):
    path = write_dicom(tmp_path / "hand.dcm", GRID, 12, BodyPartExamined=part)
    assert read_radiograph(path).body_part == (part.upper() or None)


@pytest.mark.parametrize("part", ["CHEST", "KNEE", "SKULL", "LOWER LIMB", "Lower Extremity"])
def test_parts_that_are_refused(tmp_path, part):
    path = write_dicom(tmp_path / "hand.dcm", GRID, 12, BodyPartExamined=part)
    with pytest.raises(UnsuitableError, match=r"^hand\.dcm: its header says that it shows"):
        read_radiograph(path)
    region = Dataset()
    region.CodeValue, region.CodingSchemeDesignator, region.CodeMeaning = "1", "SCT", part
    path = write_dicom(tmp_path / "hand.dcm", GRID, 12, AnatomicRegionSequence=Sequence([region]))
    with pytest.raises(UnsuitableError, match="not a hand"):
        read_radiograph(path)


@pytest.mark.parametrize("syntax", ["explicit", "rle", "jpeg baseline", "jpeg lossless", "jpeg-ls"])
def test_colour_is_refused_unless_it_is_grey(tmp_path, hand, syntax):
    grey = np.repeat(with_bits(hand, 8)[..., None], 3, axis=2)
    plain = write_dicom(tmp_path / "plain", grey)
    result = read_radiograph(reencode(plain, syntax, tmp_path / "hand.dcm")).pixels
    assert np.abs(result.astype(int) - grey[..., 0]).mean() < 1.5
    red = grey.copy()
    red[:40, :40, 1:] = 0
    red[:40, :40, 0] = 200
    plain = write_dicom(tmp_path / "plain", red)
    with pytest.raises(UnsuitableError, match=r"hand\.dcm: it is in colour"):
        read_radiograph(reencode(plain, syntax, tmp_path / "hand.dcm"))


def test_colours_in_planes(tmp_path, hand):
    grey = with_bits(hand, 8)
    dataset = hand_dataset(np.repeat(grey[..., None], 3, axis=2), PlanarConfiguration=1)
    dataset.PixelData = grey.tobytes() * 3 + bytes(grey.size % 2)
    dataset.save_as(tmp_path / "hand.dcm", enforce_file_format=True)
    np.testing.assert_array_equal(read_radiograph(tmp_path / "hand.dcm").pixels, grey)


REFUSED = {
    "several frames": ({"NumberOfFrames": 2}, "several frames"),
    "palette": ({"PhotometricInterpretation": "PALETTE COLOR"}, "in colour"),
}
FAILED = {
    "no picture": ({"PixelData": None}, "its pixel data are missing"),
    "wrong rows": ({"Rows": 21}, "bytes of pixels where its header announces"),
    "too large": ({"Rows": 60_000}, "beyond the limit"),
    "no bits": ({"BitsStored": None}, r"lacks \(0028,0101\)"),
    "bits": ({"BitsStored": 20}, "20 bits"),
    "channels": ({"SamplesPerPixel": 3}, "do not fit"),
    "empty": ({"Columns": 0}, "which no picture has"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(tmp_path, name):
    changes, message = REFUSED[name]
    path = write_dicom(tmp_path / "hand.dcm", GRID, 12, **changes)
    with pytest.raises(UnsuitableError, match=rf"^hand\.dcm: .*{message}"):
        read_radiograph(path)


@pytest.mark.parametrize("name", FAILED)
def test_failed(tmp_path, name):
    changes, message = FAILED[name]
    path = write_dicom(tmp_path / "hand.dcm", GRID, 12, **changes)
    with pytest.raises(UnreadableError, match=rf"^Cannot read hand\.dcm: .*{message}"):
        read_radiograph(path)


def test_a_report_holds_no_picture(tmp_path):
    dataset = hand_dataset(GRID, SOPClassUID=pydicom.uid.BasicTextSRStorage)
    for name in ("PixelData", "Rows", "Columns", "BitsStored", "BitsAllocated", "HighBit"):
        delattr(dataset, name)
    dataset.save_as(tmp_path / "report", enforce_file_format=True)
    with pytest.raises(UnsuitableError, match="DICOM file without a picture"):
        read_radiograph(tmp_path / "report")


@pytest.mark.parametrize(
    ("uid", "name"),
    [
        ("1.2.840.10008.1.2.4.201", "High-Throughput JPEG 2000"),
        ("1.2.840.10008.1.2.4.102", "MPEG-4"),
        ("1.2.3.4", "1.2.3.4"),
    ],
)
def test_a_transfer_syntax_without_a_decoder_is_named(tmp_path, uid, name):
    path = write_dicom(tmp_path / "hand.dcm", GRID, 12)
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = uid
    dataset.PixelData = pydicom.encaps.encapsulate([b"frame"])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.save_as(path, implicit_vr=False, little_endian=True)
    with pytest.raises(UnreadableError, match=rf"transfer syntax {name}.* cannot be decoded here"):
        read_radiograph(path)


def test_a_deflated_bomb(tmp_path):
    plain = write_dicom(tmp_path / "plain", np.zeros((3000, 3000), np.uint16))
    bomb = reencode(plain, "deflated", tmp_path / "bomb.dcm")
    assert bomb.stat().st_size < 100_000
    with pytest.raises(UnreadableError, match="once it is inflated"):
        read_radiograph(bomb, limits=ReadLimits(max_file_bytes=1_000_000))


def test_nothing_of_the_patient_is_told(tmp_path, capfd, caplog, recwarn):
    """Names must not get into messages, warnings or logs, also where they make no sense."""
    caplog.set_level(logging.DEBUG)
    said = []
    for changes in (
        {"PatientBirthDate": "Secret-1", "PatientAge": "Secret-2", "StudyDate": "Secret-3"},
        {"PatientSex": "Secret-4", "WindowCenter": "31.25", "WindowWidth": "1"},
        {"BodyPartExamined": "CHEST Secret-6"},
        {"Rows": 7},
    ):
        path = write_dicom(tmp_path / "hand.dcm", GRID, 12, **changes)
        path.write_bytes(path.read_bytes().replace(b"31.25 ", b"SECRET"))
        capfd.readouterr()
        caplog.clear()
        recwarn.clear()
        try:
            read_radiograph(tmp_path / "hand.dcm")
        except (UnreadableError, UnsuitableError) as error:
            said += [str(error), str(error.__cause__)]
        out = capfd.readouterr()
        said += [out.out, out.err, caplog.text, *(str(item.message) for item in recwarn)]
    assert len(said) > 6
    assert "secret" not in "".join(said).lower()


def test_without_the_extra_the_message_has_the_command(tmp_path):
    """In a process that cannot import pydicom, or GDCM."""
    write_dicom(tmp_path / "hand.dcm", GRID, 12)
    reencode(tmp_path / "hand.dcm", "jpeg-ls", tmp_path / "ls.dcm")
    script = """
import sys
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == sys.argv[1] else found(name, *rest)
from boneage.radiographs.readers import read_radiograph
try:
    print(read_radiograph(sys.argv[2]).pixels.shape)
except Exception as error:
    print(type(error).__name__, error)
"""
    for module, name, wanted in (
        ("pydicom", "hand.dcm", "UnreadableError Cannot read hand.dcm: it is a DICOM file. This "
         "needs pydicom, which is not installed: pip install 'boneage[dicom]'\n"),
        ("gdcm", "hand.dcm", "(20, 30)\n"),
        ("gdcm", "ls.dcm", "UnreadableError Cannot read ls.dcm: it is a DICOM file. This "
         "needs gdcm, which is not installed: pip install 'boneage[dicom]'\n"),
    ):  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-c", script, module, tmp_path / name],
            env={"PYTHONPATH": str(SOURCE)},
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert (done.stdout, done.stderr) == (wanted, "")
