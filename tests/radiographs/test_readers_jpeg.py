"""JPEG reads as other decoders read it; a damaged or incomplete one is refused."""

import io

import numpy as np
import pytest
from PIL import Image

from boneage.errors import UnreadableError
from boneage.radiographs.readers import ReadLimits, read_radiograph


def smooth(height, width, seed=0):
    """A picture that JPEG keeps well: a few broad waves."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = sum(
        np.sin(x * random.uniform(0.01, 0.2) + y * random.uniform(0.01, 0.2)) for _ in range(4)
    )
    return np.clip(128 + 30 * waves, 0, 255).astype(np.uint8)


def jpeg(pixels, mode=None, **options):
    file = io.BytesIO()
    image = Image.fromarray(pixels) if mode is None else Image.fromarray(pixels).convert(mode)
    image.save(file, "JPEG", quality=95, **options)
    return file.getvalue()


GREY = smooth(60, 90)
GOOD = jpeg(GREY)
SCAN = GOOD.index(b"\xff\xda")
FRAME = GOOD.index(b"\xff\xc0")


@pytest.fixture
def read(tmp_path):
    def read_bytes(data, **options):
        path = tmp_path / "hand.jpg"
        path.write_bytes(data)
        return read_radiograph(path, **options).pixels

    return read_bytes


@pytest.mark.parametrize("size", [(1, 1), (7, 9), (60, 90), (301, 17)])
@pytest.mark.parametrize("progressive", [False, True])
def test_grey_reads_as_pillow_reads_it(read, size, progressive):
    data = jpeg(smooth(*size), progressive=progressive)
    pixels = read(data)
    assert pixels.dtype == np.uint8
    np.testing.assert_allclose(pixels.astype(int), Image.open(io.BytesIO(data)), atol=1)


@pytest.mark.parametrize("subsampling", [0, 2])
@pytest.mark.parametrize("restart", [0, 3])
def test_colour_becomes_luminance(read, subsampling, restart):
    red, green, blue = (smooth(60, 90, seed) for seed in range(3))
    data = jpeg(
        np.stack([red, green, blue], axis=-1),
        subsampling=subsampling,
        restart_marker_blocks=restart,
    )
    expected = 0.299 * red + 0.587 * green + 0.114 * blue
    np.testing.assert_allclose(read(data), expected, atol=6)


def test_colour_stored_as_rgb_becomes_luminance(read):
    red, green, blue = (smooth(60, 90, seed) for seed in range(3))
    data = jpeg(np.stack([red, green, blue], axis=-1), keep_rgb=True)
    expected = 0.299 * red + 0.587 * green + 0.114 * blue
    np.testing.assert_allclose(read(data), expected, atol=6)


def test_density_is_no_pixel_spacing(tmp_path):
    path = tmp_path / "hand.jpg"
    path.write_bytes(jpeg(GREY, dpi=(300, 300)))
    assert read_radiograph(path).spacing_mm is None


def test_bytes_after_the_end_and_comments_are_ignored(read):
    commented = GOOD[:2] + b"\xff\xfe\0\x08a note" + GOOD[2:]
    np.testing.assert_array_equal(read(commented + b"a preview"), read(GOOD))


def changed(at, *values):
    data = bytearray(GOOD)
    data[at : at + len(values)] = bytes(values)
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(GOOD[:-2], "cut short", id="no end marker"),
        pytest.param(GOOD[:-1], "cut short", id="half an end marker"),
        pytest.param(GOOD[: (SCAN + len(GOOD)) // 2], "cut short", id="half"),
        pytest.param(GOOD[: FRAME + 6], "cut short", id="header only"),
        pytest.param(GOOD[:3], "cut short", id="three bytes"),
        pytest.param(
            GOOD[: (SCAN + len(GOOD)) // 2] + b"\xff\xd9", "premature end", id="half, then an end"
        ),
        pytest.param(changed(FRAME + 6, 250), "premature end", id="taller than it is"),
        pytest.param(changed(FRAME + 6, 8), "extraneous bytes", id="lower than it is"),
        pytest.param(GOOD[:2] + b"\xff\xd9", "no picture", id="markers only"),
        pytest.param(GOOD[:FRAME] + b"\xff\xd9", "no picture", id="tables only"),
        pytest.param(GOOD[:2] + GOOD[SCAN:], "damaged near byte", id="scan without a frame"),
        pytest.param(GOOD[:SCAN] + b"x" + GOOD[SCAN:], "damaged near byte", id="stray byte"),
        pytest.param(changed(FRAME + 2, 0, 1), "damaged near byte", id="segment of one byte"),
        pytest.param(changed(FRAME + 5, 0, 0), "0 pixels", id="no height"),
        pytest.param(changed(FRAME + 4, 12), "12-bit", id="12 bits"),
        pytest.param(changed(FRAME + 1, 0xC3), "lossless", id="lossless"),
        pytest.param(jpeg(GREY, mode="CMYK"), "CMYK", id="CMYK"),
        pytest.param(
            GOOD[:-2] + GOOD[SCAN:-2] * 200 + GOOD[-2:], "damaged near byte", id="200 scans"
        ),
    ],
)
def test_damage_is_refused(read, data, message):
    with pytest.raises(UnreadableError, match=message):
        read(data)


def test_a_header_that_claims_too_much_is_refused_before_decoding(read):
    with pytest.raises(UnreadableError, match="65535 x 65535 pixels, beyond the limit"):
        read(changed(FRAME + 5, 255, 255, 255, 255))
    with pytest.raises(UnreadableError, match="beyond the limit"):
        read(GOOD, limits=ReadLimits(max_side_px=89))
