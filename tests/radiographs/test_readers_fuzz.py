"""Damaged at random: a whole radiograph or an UnreadableError, never anything else."""

import io
import re

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from boneage.errors import UnreadableError
from boneage.radiographs.readers import read_radiograph

GREY = cv2.GaussianBlur(
    np.random.default_rng(0).integers(0, 256, (60, 50), dtype=np.uint8), (0, 0), 2
)
COLOUR = np.stack([GREY, GREY[::-1], GREY[:, ::-1]], axis=-1)
EXIF = Image.Exif()
EXIF[274] = 1


def pillow(kind, pixels, **options):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def tiff(pixels, **options):
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, **options)
    return file.getvalue()


FILES = {
    "png": pillow("PNG", GREY, exif=EXIF, dpi=(300, 300)),
    "png palette": pillow("PNG", np.array(Image.fromarray(COLOUR).convert("P"))),
    "png 16 bit": pillow("PNG", GREY.astype(np.uint16) * 200),
    "jpeg": pillow("JPEG", GREY, exif=EXIF),
    "jpeg progressive": pillow("JPEG", COLOUR, progressive=True),
    "tiff": tiff(GREY, photometric="minisblack", rowsperstrip=9),
    "tiff lzw": pillow("TIFF", COLOUR, compression="tiff_lzw"),
    "tiff packbits": pillow("TIFF", GREY, compression="packbits"),
    "tiff deflate": tiff(COLOUR, photometric="rgb", compression="zlib", predictor=2, tile=(16, 16)),
}


def flipped(data, random):
    """Change one to three bits; half the time near the start, where the headers are."""
    result = bytearray(data)
    for _ in range(random.integers(1, 4)):
        reach = len(data) if random.random() < 0.5 else min(len(data), 200)
        result[random.integers(reach)] ^= 1 << random.integers(8)
    return bytes(result)


def cut(data, random):
    """Cut off the end, or cut out a stretch, or put one in twice."""
    first, last = sorted(random.integers(1, len(data), 2))
    return [data[:first], data[:first] + data[last:], data[:last] + data[first:]][
        random.integers(3)
    ]


@pytest.mark.parametrize("name", FILES)
def test_damaged_files(tmp_path, capfd, name):
    path = tmp_path / "hand.png"
    path.write_bytes(FILES[name])
    good = read_radiograph(path).pixels
    random = np.random.default_rng(2017)
    messages = []
    for attempt in range(200):
        damage = cut if attempt % 4 == 0 else flipped
        path.write_bytes(damage(FILES[name], random))
        try:
            pixels = read_radiograph(path).pixels
        except UnreadableError as error:
            messages.append(str(error))
        else:
            if name.startswith("png"):  # every chunk has a checksum
                np.testing.assert_array_equal(pixels, good)
    assert len(messages) > 10
    assert all(re.fullmatch(r"Cannot read hand\.png: .+\.", message) for message in messages)
    assert capfd.readouterr().err == ""
