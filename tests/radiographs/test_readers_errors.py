"""Whatever a path leads to: a radiograph, or an error that names the file and says what to do."""

import io
import os
import subprocess
import sys
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

import boneage
from boneage.errors import InputError, SettingsError, UnreadableError
from boneage.radiographs.radiograph import Sex
from boneage.radiographs.readers import IMAGE_SUFFIXES, ReadLimits, read_radiograph
from boneage.radiographs.readers._stderr import hear_stderr

SOURCE = Path(boneage.__file__).parents[1]
GREY = np.random.default_rng(0).integers(0, 256, (40, 30), dtype=np.uint8)


def encoded(kind, pixels=GREY):
    file = io.BytesIO()
    if kind == "TIFF":
        tifffile.imwrite(file, pixels, photometric="minisblack")
    else:
        Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


NO_IMAGE = "it is not a PNG, JPEG, TIFF or DICOM image. Export it as one of these."
GOOD_JPEG = encoded("JPEG")
CORRUPT_JPEG = GOOD_JPEG[: len(GOOD_JPEG) * 3 // 4] + b"\xff\xd9"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
@pytest.mark.parametrize("name", ["hand.png", "hand.JPG", "hand.tiff", "hand", "Hand – 5 år.txt"])
def test_the_format_is_told_by_content(tmp_path, kind, name):
    (tmp_path / name).write_bytes(encoded(kind))
    radiograph = read_radiograph(tmp_path / name, sex="F")
    assert radiograph.pixels.shape == GREY.shape
    assert radiograph.pixels.dtype == np.uint8
    assert radiograph.sex is Sex.FEMALE
    assert radiograph.source == name


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_one_pixel_is_a_radiograph(tmp_path, kind):
    path = tmp_path / "dot"
    path.write_bytes(encoded(kind, np.full((1, 1), 77, np.uint8)))
    assert read_radiograph(os.fspath(path)).pixels.tolist() == [[77]]


def test_pixels_may_be_written_to(tmp_path):
    """Every format gives an array of the caller's own."""
    for kind in ("PNG", "JPEG", "TIFF"):
        path = tmp_path / kind
        path.write_bytes(encoded(kind))
        assert read_radiograph(path).pixels.flags.writeable


def test_suffixes():
    assert sorted(IMAGE_SUFFIXES) == [".jpeg", ".jpg", ".png", ".tif", ".tiff"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "it is empty (0 bytes). Copy or export it again."),
        (b"Dear colleague,\n", NO_IMAGE),
        (b"\x89PN", NO_IMAGE),
        (b"GIF89a" + bytes(100), NO_IMAGE),
        (bytes(128) + b"DIC", NO_IMAGE),
    ],
)
def test_no_image(tmp_path, data, message):
    path = tmp_path / "7034.png"
    path.write_bytes(data)
    with pytest.raises(UnreadableError) as caught:
        read_radiograph(path)
    assert str(caught.value) == f"Cannot read 7034.png: {message}"


def test_no_file(tmp_path):
    with pytest.raises(UnreadableError, match=r"gone\.png: there is no such file\. Check the path"):
        read_radiograph(tmp_path / "gone.png")


def test_folder(tmp_path):
    (tmp_path / "hands.png").mkdir()
    with pytest.raises(UnreadableError, match=r"hands\.png: it is a folder\. Name a file in it"):
        read_radiograph(tmp_path / "hands.png")


@pytest.mark.parametrize("path", ["a\0b.png", "x" * 5000 + ".png"])
def test_path_that_the_system_refuses(path):
    with pytest.raises(UnreadableError, match="Cannot read"):
        read_radiograph(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(UnreadableError, match=r"pipe\.png: it is a device or a pipe"):
        read_radiograph(tmp_path / "pipe.png")


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="needs POSIX permissions")
def test_no_permission(tmp_path):
    path = tmp_path / "hand.png"
    path.write_bytes(encoded("PNG"))
    path.chmod(0)
    user = os.geteuid()
    if user == 0:  # root may read everything, so be someone else meanwhile
        os.seteuid(65534)
    try:
        with pytest.raises(UnreadableError, match=r"hand\.png: permission denied\. Make it"):
            read_radiograph(path)
    finally:
        os.seteuid(user)


def test_sex_must_be_understood(tmp_path):
    with pytest.raises(InputError, match="is not a sex"):
        read_radiograph(tmp_path / "any.png", sex="child")


def test_file_size_limit(tmp_path):
    path = tmp_path / "hand.png"
    path.write_bytes(encoded("PNG"))
    size = path.stat().st_size
    assert read_radiograph(path, limits=ReadLimits(max_file_bytes=size)).height_px == 40
    with pytest.raises(UnreadableError, match=r"hand\.png: it is .* bytes, beyond the limit of"):
        read_radiograph(path, limits=ReadLimits(max_file_bytes=size - 1))


@pytest.mark.parametrize(
    "values",
    [
        {"max_pixels": 0},
        {"max_pixels": 250_000_001},
        {"max_side_px": 0},
        {"max_side_px": 1_000_001},
        {"max_file_bytes": 0},
    ],
)
def test_limits_out_of_range_are_refused_by_name(values):
    (name,) = values
    with pytest.raises(SettingsError, match=name):
        ReadLimits(**values)


READ_ALL = """
import sys
from boneage.errors import UnreadableError
from boneage.radiographs.readers import read_radiograph
for path in sys.argv[1:]:
    try:
        print("ok", read_radiograph(path).source)
    except UnreadableError as error:
        print(error)
"""


def run_read_all(*paths, **options):
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), **options.pop("env", {})}
    return subprocess.run(
        [sys.executable, "-c", READ_ALL, *map(str, paths)],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        check=True,
        **({"stderr": subprocess.PIPE} | options),
    )


def test_opencv_and_its_libraries_print_nothing(tmp_path):
    corrupt_scan = bytearray(GOOD_JPEG)
    for at in range(len(corrupt_scan) // 2, len(corrupt_scan) - 2, 7):
        corrupt_scan[at] ^= 0x55
    png, tiff = encoded("PNG"), encoded("TIFF")
    files = {
        "cut.jpg": GOOD_JPEG[:-2],
        "half.jpg": CORRUPT_JPEG,
        "scan.jpg": bytes(corrupt_scan),
        "arithmetic.jpg": GOOD_JPEG.replace(b"\xff\xc0", b"\xff\xc9"),
        "tables.jpg": GOOD_JPEG.replace(b"\xff\xdb", b"\xff\xec"),
        "cut.png": png[:-20],
        "flip.png": png[:90] + bytes((png[90] ^ 1,)) + png[91:],
        "cut.tif": tiff[:-20],
        "text.tif": b"II*\0 no TIFF at all",
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    done = run_read_all(*(tmp_path / name for name in files))
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert len(lines) == len(files)
    for name, line in zip(files, lines, strict=True):
        assert line.startswith(f"Cannot read {name}: ")


def test_a_process_without_standard_error_reads_too(tmp_path):
    (tmp_path / "good.jpg").write_bytes(GOOD_JPEG)
    (tmp_path / "half.jpg").write_bytes(CORRUPT_JPEG)
    done = run_read_all(
        tmp_path / "good.jpg",
        tmp_path / "half.jpg",
        stderr=None,
        preexec_fn=lambda: os.close(2),
    )
    first, second = done.stdout.splitlines()
    assert first == "ok good.jpg"
    assert "half.jpg: the JPEG is damaged" in second


def test_a_limit_of_opencv_itself_is_explained(tmp_path):
    (tmp_path / "hand.png").write_bytes(encoded("PNG"))
    done = run_read_all(tmp_path / "hand.png", env={"OPENCV_IO_MAX_IMAGE_PIXELS": "100"})
    assert done.stderr == ""
    assert "Cannot read hand.png: OpenCV refused it" in done.stdout
    assert "OPENCV_IO_MAX_IMAGE_" in done.stdout


def test_what_other_threads_print_while_a_jpeg_is_read_is_kept(tmp_path, capfd):
    """Every line of this process reaches standard error once; libjpeg's lines do not.

    Their order is not promised: a line written just as the diversion ends may overtake those that
    it held back.
    """
    large = np.random.default_rng(1).integers(0, 256, (1500, 1500), dtype=np.uint8)
    data = cv2.imencode(".jpg", large)[1].tobytes()
    path = tmp_path / "half.jpg"
    path.write_bytes(data[: len(data) // 2] + b"\xff\xd9")
    stop = threading.Event()
    written = []

    def chatter():
        while not stop.wait(0.001):
            line = f"line {len(written)}\n"
            os.write(2, line.encode())
            written.append(line)

    thread = threading.Thread(target=chatter)
    thread.start()
    try:
        for _ in range(5):
            with pytest.raises(UnreadableError, match="premature end"):
                read_radiograph(path)
    finally:
        stop.set()
        thread.join()
    assert written
    assert sorted(capfd.readouterr().err.splitlines(keepends=True)) == sorted(written)


def test_no_message_is_lost_to_another_thread_that_prints_at_the_same_moment() -> None:
    def say(word: bytes) -> None:
        for number in range(4000):
            os.write(2, b"%s %06d\n" % (word, number))

    for _ in range(5):
        with hear_stderr((b"damaged", b"corrupt")) as heard:
            threads = [threading.Thread(target=say, args=(w,)) for w in (b"damaged", b"corrupt")]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert len(heard) == 8000
