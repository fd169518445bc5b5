"""PNG of every kind reads back as it was written; a damaged one is refused."""

import io
import struct
import tracemalloc
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from boneage.errors import UnreadableError
from boneage.radiographs.readers import ReadLimits, read_radiograph

GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGBA: 4}
ADAM7 = [
    (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4),
    (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2),
]  # fmt: skip
KINDS = [
    (GREY, 1), (GREY, 2), (GREY, 4), (GREY, 8), (GREY, 16), (RGB, 8), (RGB, 16),
    (GREY_ALPHA, 8), (GREY_ALPHA, 16), (RGBA, 8), (RGBA, 16),
    (PALETTE, 1), (PALETTE, 2), (PALETTE, 4), (PALETTE, 8),
]  # fmt: skip


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def packed_rows(samples: np.ndarray, depth: int) -> bytes:
    flat = samples.reshape(len(samples), -1)
    bits = (flat[..., None] >> np.arange(depth - 1, -1, -1)) & 1
    packed = np.packbits(bits.reshape(len(flat), -1).astype(np.uint8), axis=1)
    return b"".join(b"\0" + row.tobytes() for row in packed)


def png(samples, depth, colour_type, *, interlaced=False, before=b"", stream=None, size=None):
    """Write a PNG by the book, so that each part of it can also be written wrongly."""
    height, width = samples.shape[:2] if size is None else size
    grids = ADAM7 if interlaced else [(0, 0, 1, 1)]
    if stream is None:
        stream = b"".join(
            packed_rows(samples[y::down, x::across], depth)
            for x, y, across, down in grids
            if samples[y::down, x::across].size
        )
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, interlaced)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", header),
            before,
            chunk(b"IDAT", zlib.compress(stream)),
            chunk(b"IEND", b""),
        )
    )


def grey_of(samples, depth, colour_type, palette=None):
    """What ought to be read, in floating point."""
    samples = samples.astype(np.float64)
    if colour_type == PALETTE:
        samples = palette[samples[..., 0].astype(int)].astype(np.float64)
    elif depth < 8:
        samples = samples * (255 / (2**depth - 1))
    if samples.shape[2] >= 3:
        return samples[..., :3] @ [0.299, 0.587, 0.114]
    return samples[..., 0]


@pytest.fixture
def read(tmp_path):
    def read_bytes(data, **options):
        path = tmp_path / "hand.png"
        path.write_bytes(data)
        return read_radiograph(path, **options).pixels

    return read_bytes


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("png") / "hand.png"


@settings(max_examples=25)
@given(data=st.data())
@pytest.mark.parametrize(("colour_type", "depth"), KINDS)
def test_every_kind_reads_back(scratch, colour_type, depth, data):
    height, width = data.draw(st.tuples(st.integers(1, 40), st.integers(1, 40)))
    random = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    samples = random.integers(0, 2**depth, (height, width, CHANNELS[colour_type]))
    palette = random.integers(0, 256, (2**depth, 3))
    if colour_type in (GREY_ALPHA, RGBA):
        samples[0, 0, -1] = 1
    before = chunk(b"PLTE", palette.astype(np.uint8).tobytes()) if colour_type == PALETTE else b""
    interlaced = data.draw(st.booleans())
    scratch.write_bytes(png(samples, depth, colour_type, interlaced=interlaced, before=before))
    pixels = read_radiograph(scratch).pixels
    expected = grey_of(samples, depth, colour_type, palette if colour_type == PALETTE else None)
    assert pixels.dtype == (np.uint16 if depth == 16 else np.uint8)
    assert pixels.shape == expected.shape
    # OpenCV's weights have 14 or 15 bits, so 16-bit luminance may be off by two.
    tolerance = 0 if colour_type in (GREY, GREY_ALPHA) else 2 if depth == 16 else 1
    np.testing.assert_allclose(pixels, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("depth", [8, 16])
def test_grey_stored_as_colour_keeps_its_values(read, depth):
    grey = np.arange(2**depth).reshape(16, -1)
    pixels = read(png(np.stack([grey] * 3, axis=-1), depth, RGB))
    np.testing.assert_array_equal(pixels, grey)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_what_pillow_writes(read, mode):
    grey = np.random.default_rng(1).integers(0, 256, (31, 22), dtype=np.uint8)
    if mode == "I;16":
        expected = grey.astype(np.uint16) * 16 + 7
        image = Image.fromarray(expected)
    elif mode == "1":
        expected = np.where(grey > 127, 255, 0)
        image = Image.fromarray(grey > 127)
    else:
        expected = grey
        image = Image.fromarray(grey).convert(mode)
    file = io.BytesIO()
    image.save(file, "PNG")
    np.testing.assert_array_equal(read(file.getvalue()), expected)


def test_twelve_bits_in_sixteen_are_not_stretched(read):
    grey = np.random.default_rng(2).integers(0, 4096, (30, 40), dtype=np.uint16)
    pixels = read(cv2.imencode(".png", grey)[1].tobytes())
    assert pixels.dtype == np.uint16
    np.testing.assert_array_equal(pixels, grey)


def test_alpha_is_ignored(read):
    samples = np.random.default_rng(3).integers(0, 256, (9, 9, 2))
    samples[:, :5, 1] = 0
    samples[:, 5:, 1] = 7
    np.testing.assert_array_equal(read(png(samples, 8, GREY_ALPHA)), samples[..., 0])


@pytest.mark.parametrize("colour_type", [GREY_ALPHA, RGBA])
def test_transparent_throughout_is_refused(read, colour_type):
    samples = np.full((9, 9, CHANNELS[colour_type]), 100)
    samples[..., -1] = 0
    with pytest.raises(UnreadableError, match="transparent throughout"):
        read(png(samples, 8, colour_type))


def test_gamma_profiles_text_and_resolution_change_nothing(read, tmp_path):
    grey = np.random.default_rng(4).integers(0, 256, (9, 12))
    before = (
        chunk(b"gAMA", struct.pack(">I", 10000))
        + chunk(b"iCCP", b"a profile that is none")
        + chunk(b"tEXt", b"Comment\0hello")
        + chunk(b"pHYs", struct.pack(">IIB", 5000, 5000, 1))
        + chunk(b"tRNS", struct.pack(">H", grey[0, 0]))
    )
    np.testing.assert_array_equal(read(png(grey, 8, GREY, before=before)), grey)
    assert read_radiograph(tmp_path / "hand.png").spacing_mm is None


def test_bytes_after_the_end_are_ignored(read):
    grey = np.arange(20).reshape(4, 5)
    np.testing.assert_array_equal(read(png(grey, 8, GREY) + b"more"), grey)


GREY_8 = np.random.default_rng(5).integers(0, 256, (20, 30))
ROWS = packed_rows(GREY_8, 8)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(png(GREY_8, 8, GREY, stream=ROWS[:-1]), "fewer pixels", id="short stream"),
        pytest.param(png(GREY_8, 8, GREY, stream=ROWS + b"\0"), "more pixels", id="long stream"),
        pytest.param(png(GREY_8, 8, GREY, stream=b"\7" + ROWS[1:]), "unknown filter", id="filter"),
        pytest.param(png(GREY_8, 8, GREY)[:-12], "cut short", id="no end chunk"),
        pytest.param(png(GREY_8, 8, GREY)[:-1], "cut short", id="one byte short"),
        pytest.param(png(GREY_8, 8, GREY)[:300], "cut short", id="half"),
        pytest.param(png(GREY_8, 8, GREY)[:8], "cut short", id="signature only"),
        pytest.param(png(GREY_8, 8, GREY, size=(0, 30)), "0 pixels", id="no height"),
        pytest.param(png(GREY_8, 3, GREY), "no kind", id="depth 3"),
        pytest.param(png(GREY_8, 16, PALETTE), "no kind", id="palette of 16 bits"),
        pytest.param(png(GREY_8, 8, 5), "no kind", id="colour type 5"),
        pytest.param(png(GREY_8, 8, PALETTE), "no proper palette", id="no palette"),
        pytest.param(
            png(GREY_8, 8, PALETTE, before=chunk(b"PLTE", bytes(30))), "lacks", id="short palette"
        ),
        pytest.param(
            png(GREY_8, 8, GREY, before=chunk(b"CgBI", b"1234")), "extension CgBI", id="Apple"
        ),
        pytest.param(
            png(GREY_8, 8, GREY, before=chunk(b"acTL", struct.pack(">II", 2, 0))),
            "animation",
            id="animation",
        ),
        pytest.param(
            b"\x89PNG\r\n\x1a\n" + chunk(b"IEND", b""), "no proper header", id="no header"
        ),
        pytest.param(
            png(GREY_8, 8, GREY).replace(zlib.compress(ROWS), zlib.compress(ROWS)[::-1]),
            "checksum",
            id="data changed, CRC not",
        ),
        pytest.param(
            b"\x89PNG\r\n\x1a\n"
            + chunk(b"IHDR", struct.pack(">IIBBBBB", 30, 20, 8, 0, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(ROWS)[:-1] + b"\0")
            + chunk(b"IEND", b""),
            "damaged",
            id="wrong Adler-32, right CRC",
        ),
    ],
)
def test_damage_is_refused(read, data, message):
    with pytest.raises(UnreadableError, match=message):
        read(data)


def test_a_header_that_claims_too_much_is_refused_before_decoding(read):
    data = png(GREY_8, 8, GREY, size=(60_000, 60_000))
    assert len(data) < 1000
    with pytest.raises(UnreadableError, match="60000 x 60000 pixels, beyond the limit"):
        read(data)


def test_a_stream_that_inflates_without_end_is_refused(read):
    data = png(GREY_8, 8, GREY, stream=bytes(100_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableError, match="more pixels than its header says"):
            read(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2_000_000


def test_limits_hold_for_pixels_and_sides(read):
    data = png(GREY_8, 8, GREY)
    assert read(data, limits=ReadLimits(max_pixels=600, max_side_px=30)).shape == (20, 30)
    for limits in (ReadLimits(max_pixels=599), ReadLimits(max_side_px=29)):
        with pytest.raises(UnreadableError, match="beyond the limit"):
            read(data, limits=limits)
