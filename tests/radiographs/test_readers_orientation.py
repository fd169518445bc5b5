"""Each of the eight orientations, in each format, shows the same upright picture."""

import io
import struct

import numpy as np
import pytest
import tifffile
from PIL import Image

from boneage.radiographs.readers import read_radiograph

TAG = 274
UPRIGHT = np.clip(np.add.outer(np.arange(48) * 4, np.arange(32) * 1.5), 0, 255).astype(np.uint8)

# How an upright picture has to be stored so that the tag brings it back: the standard says where
# row 0 and column 0 of the stored picture are to be seen.
STORED = {
    1: UPRIGHT,
    2: UPRIGHT[:, ::-1],
    3: UPRIGHT[::-1, ::-1],
    4: UPRIGHT[::-1],
    5: UPRIGHT.T,
    6: UPRIGHT[:, ::-1].T,  # row 0 at the right-hand side, column 0 at the top
    7: UPRIGHT[::-1, ::-1].T,
    8: UPRIGHT[::-1].T,  # row 0 at the left-hand side, column 0 at the bottom
}


def exif(orientation, byte_order="<"):
    mark = b"II*\0" if byte_order == "<" else b"MM\0*"
    entry = struct.pack(byte_order + "IHHHIHHI", 8, 1, TAG, 3, 1, orientation, 0, 0)
    return mark + entry


def write(path, orientation, byte_order="<", metadata=None):
    stored = np.ascontiguousarray(STORED.get(orientation, UPRIGHT))
    metadata = exif(orientation, byte_order) if metadata is None else metadata
    if path.suffix == ".tif":
        tags = [(TAG, 3, 1, orientation, True)]
        tifffile.imwrite(path, stored, photometric="minisblack", extratags=tags)
    elif path.suffix == ".jpg":
        Image.fromarray(stored).save(path, quality=100, exif=b"Exif\0\0" + metadata)
    else:
        Image.fromarray(stored).save(path, exif=metadata)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
@pytest.mark.parametrize("byte_order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied(tmp_path, suffix, byte_order, orientation):
    path = tmp_path / f"hand{suffix}"
    write(path, orientation, byte_order)
    radiograph = read_radiograph(path)
    assert (radiograph.height_px, radiograph.width_px) == UPRIGHT.shape
    assert radiograph.pixels.flags["C_CONTIGUOUS"]
    tolerance = 3 if suffix == ".jpg" else 0
    np.testing.assert_allclose(radiograph.pixels.astype(int), UPRIGHT, atol=tolerance)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_an_orientation_that_the_standard_lacks_changes_nothing(tmp_path, suffix, orientation):
    path = tmp_path / f"hand{suffix}"
    write(path, orientation)
    np.testing.assert_allclose(read_radiograph(path).pixels.astype(int), UPRIGHT, atol=3)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize(
    "metadata", [b"?", b"II*\0", exif(6)[:-9], b"II*\0\xff\xff\xff\xff", b"II*\0\0\0\0\0"]
)
def test_malformed_metadata_says_nothing_against_the_picture(tmp_path, suffix, metadata):
    path = tmp_path / f"hand{suffix}"
    write(path, 1, metadata=metadata)
    np.testing.assert_allclose(read_radiograph(path).pixels.astype(int), UPRIGHT, atol=3)


def test_pillow_agrees(tmp_path):
    """The table above is right: another reader brings every one of them upright too."""
    from PIL import ImageOps

    for orientation in range(1, 9):
        path = tmp_path / f"{orientation}.png"
        write(path, orientation)
        seen = ImageOps.exif_transpose(Image.open(io.BytesIO(path.read_bytes())))
        np.testing.assert_array_equal(seen, UPRIGHT)
