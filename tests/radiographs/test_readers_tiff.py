"""TIFF of every kind reads back as it was written; a damaged one is refused."""

import io
import struct

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from boneage.errors import UnreadableError
from boneage.radiographs.readers import ReadLimits, read_radiograph

ALPHA = "unassalpha"


def tiff(pixels, **options):
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, **{"photometric": "minisblack", **options})
    return file.getvalue()


def samples(dtype, *shape, seed=0):
    random = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return (random.random(shape) * 100 - 50).astype(dtype)
    info = np.iinfo(dtype)
    return random.integers(info.min, info.max, shape, dtype=dtype, endpoint=True)


def luminance(colour):
    return colour[..., :3].astype(np.float64) @ [0.299, 0.587, 0.114]


@pytest.fixture
def read(tmp_path):
    def read_bytes(data, **options):
        path = tmp_path / "hand.tif"
        path.write_bytes(data)
        return read_radiograph(path, **options).pixels

    return read_bytes


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("tiff") / "hand.tif"


@settings(max_examples=25)
@given(
    size=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    seed=st.integers(0, 1000),
    layout=st.sampled_from([{}, {"rowsperstrip": 3}, {"tile": (16, 32)}]),
    packing=st.sampled_from([{}, {"compression": "zlib"}, {"compression": "zlib", "predictor": 2}]),
    byteorder=st.sampled_from("<>"),
    bigtiff=st.booleans(),
)
@pytest.mark.parametrize(
    ("dtype", "expected_dtype"),
    [
        ("u1", "u1"), ("u2", "u2"), ("u4", "f4"), ("i1", "f4"), ("i2", "f4"), ("i4", "f4"),
        ("f2", "f4"), ("f4", "f4"), ("f8", "f4"),
    ],
)  # fmt: skip
def test_every_grey_reads_back(
    scratch, dtype, expected_dtype, size, seed, layout, packing, byteorder, bigtiff
):
    pixels = samples(dtype, *size, seed=seed)
    if pixels.dtype.kind == "f":
        packing = {key: value for key, value in packing.items() if key != "predictor"}
    scratch.write_bytes(tiff(pixels, byteorder=byteorder, bigtiff=bigtiff, **layout, **packing))
    result = read_radiograph(scratch).pixels
    assert result.dtype == expected_dtype
    np.testing.assert_array_equal(result, pixels.astype(expected_dtype))


@settings(max_examples=10)
@given(
    seed=st.integers(0, 1000),
    planar=st.booleans(),
    alpha=st.booleans(),
    layout=st.sampled_from([{}, {"rowsperstrip": 3}, {"tile": (16, 32)}]),
    predictor=st.booleans(),
)
@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
def test_every_colour_becomes_luminance(scratch, dtype, seed, planar, alpha, layout, predictor):
    colour = samples(dtype, 23, 37, 4 if alpha else 3, seed=seed)
    packing = {"compression": "zlib", "predictor": 2} if predictor and dtype != "f4" else {}
    scratch.write_bytes(
        tiff(
            np.moveaxis(colour, -1, 0) if planar else colour,
            photometric="rgb",
            planarconfig="separate" if planar else "contig",
            extrasamples=[ALPHA] if alpha else None,
            **layout,
            **packing,
        )
    )
    result = read_radiograph(scratch).pixels
    assert result.dtype == dtype
    tolerance = {"u1": 1, "u2": 2, "f4": 1e-4}[dtype]
    np.testing.assert_allclose(result, luminance(colour), atol=tolerance)


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_grey_with_alpha(read, dtype, planar):
    pair = samples(dtype, 23, 37, 2)
    stored = pair if planar == "contig" else np.moveaxis(pair, -1, 0)
    data = tiff(stored, planarconfig=planar, extrasamples=[ALPHA])
    np.testing.assert_array_equal(read(data), pair[..., 0])
    pair[..., 1] = 0
    data = tiff(stored, planarconfig=planar, extrasamples=[ALPHA])
    with pytest.raises(UnreadableError, match="transparent throughout"):
        read(data)


@pytest.mark.parametrize("dtype", ["u1", "u2"])
@pytest.mark.parametrize("packing", [{}, {"compression": "zlib"}])
def test_white_is_zero_is_put_right(read, dtype, packing):
    pixels = samples(dtype, 20, 30)
    result = read(tiff(pixels, photometric="miniswhite", **packing))
    np.testing.assert_array_equal(result, np.iinfo(dtype).max - pixels)


def test_white_is_zero_in_floating_point_is_mirrored_within_its_range(read):
    pixels = samples("f4", 20, 30)
    result = read(tiff(pixels, photometric="miniswhite"))
    assert (result.min(), result.max()) == pytest.approx((pixels.min(), pixels.max()))
    np.testing.assert_allclose(result + pixels, pixels.min() + pixels.max(), atol=1e-4)


def test_not_a_number_is_refused(read):
    pixels = samples("f4", 20, 30)
    pixels[3, 4] = np.nan
    with pytest.raises(UnreadableError, match="no numbers"):
        read(tiff(pixels))
    with pytest.raises(UnreadableError, match="no numbers"):
        read(tiff(np.full((4, 4), 1e300)))


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "packbits", "tiff_adobe_deflate"])
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "I;16", "F"])
def test_what_libtiff_writes(read, mode, compression):
    grey = cv2.GaussianBlur(samples("u1", 203, 151), (0, 0), 4)
    grey[50:90] = 0  # long runs
    if mode == "I;16":
        expected = cv2.GaussianBlur(samples("u2", 203, 151), (0, 0), 3)
        image = Image.fromarray(expected)
    elif mode == "1":
        expected = np.where(grey > 127, 255, 0)
        image = Image.fromarray(grey > 127)
    else:
        expected = grey
        image = Image.fromarray(grey).convert(mode)
    file = io.BytesIO()
    image.save(file, "TIFF", compression=compression)
    np.testing.assert_array_equal(read(file.getvalue()), expected)


@settings(max_examples=60)
@given(
    size=st.tuples(st.integers(1, 120), st.integers(1, 300)),
    levels=st.sampled_from([1, 2, 5, 256]),
    seed=st.integers(0, 1000),
)
@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits"])
def test_unpacking_agrees_with_libtiff(scratch, compression, size, levels, seed):
    pixels = np.random.default_rng(seed).integers(0, levels, size, dtype=np.uint8)
    Image.fromarray(pixels).save(scratch, compression=compression)
    np.testing.assert_array_equal(read_radiograph(scratch).pixels, pixels)


@pytest.mark.parametrize("compression", [5, 8, 32946])
@pytest.mark.parametrize(
    ("dtype", "predictor"),
    [("u1", 1), ("u1", 2), ("u2", 1), ("u2", 2), ("f4", 1), ("f4", 3), ("f8", 1), ("f8", 3)],
)
def test_what_opencv_writes(read, dtype, predictor, compression):
    pixels = samples(dtype, 61, 47)
    options = [cv2.IMWRITE_TIFF_COMPRESSION, compression, cv2.IMWRITE_TIFF_PREDICTOR, predictor]
    data = cv2.imencode(".tiff", pixels, options)[1].tobytes()
    np.testing.assert_array_equal(read(data), pixels.astype("f4" if dtype == "f8" else dtype))


@pytest.mark.parametrize("bits", [1, 2, 4, 10, 12, 14])
def test_packed_samples(read, bits):
    pixels = np.random.default_rng(bits).integers(0, 2**bits, (67, 13))
    rows = ((pixels[..., None] >> np.arange(bits - 1, -1, -1)) & 1).reshape(67, -1)
    packed = np.packbits(rows.astype(np.uint8), axis=1)
    data = bytearray(tiff(packed))
    set_tag(data, 256, 13)
    set_tag(data, 258, bits)
    expected = pixels * (255 // (2**bits - 1)) if bits < 8 else pixels
    result = read(bytes(data))
    assert result.dtype == (np.uint8 if bits < 8 else np.uint16)
    np.testing.assert_array_equal(result, expected)
    set_tag(data, 262, 0)
    white = 255 if bits < 8 else 2**bits - 1
    np.testing.assert_array_equal(read(bytes(data)), white - expected)


def test_twelve_bits_in_sixteen_are_not_stretched(read):
    pixels = samples("u2", 20, 30) >> 4
    np.testing.assert_array_equal(read(tiff(pixels)), pixels)


@pytest.mark.parametrize("scale", [1, 256, 257])
def test_palette(read, scale):
    random = np.random.default_rng(3)
    colours = random.integers(0, 256, (3, 256)).astype(np.uint16)
    indices = samples("u1", 20, 30)
    result = read(tiff(indices, photometric="palette", colormap=colours * scale))
    np.testing.assert_allclose(result, luminance(colours.T)[indices], atol=1)


def test_resolution_is_no_pixel_spacing(scratch):
    scratch.write_bytes(tiff(samples("u1", 20, 30), resolution=(300, 300)))
    assert read_radiograph(scratch).spacing_mm is None


def test_several_pages_are_refused(read):
    with pytest.raises(UnreadableError, match=r"a TIFF of 3 pages\. Save the one page"):
        read(tiff(samples("u1", 3, 20, 30)))


def test_a_thumbnail_is_passed_over(read):
    pixels = samples("u1", 40, 60)
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(pixels[::4, ::4], subfiletype=1)
        writer.write(pixels)
    np.testing.assert_array_equal(read(file.getvalue()), pixels)


def set_tag(data: bytearray, tag: int, value: int) -> None:
    """Change the value of a little-endian TIFF's tag in place."""
    (at,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, at)
    for entry in range(at + 2, at + 2 + 12 * count, 12):
        if struct.unpack_from("<H", data, entry)[0] == tag:
            size = "<H" if struct.unpack_from("<H", data, entry + 2)[0] == 3 else "<I"
            struct.pack_into(size, data, entry + 8, value)
            return
    raise AssertionError(f"no tag {tag}")


GOOD = tiff(samples("u1", 20, 30))


def changed(tag, value, data=GOOD):
    result = bytearray(data)
    set_tag(result, tag, value)
    return bytes(result)


def circular():
    """The first page names itself as the next."""
    data = bytearray(GOOD)
    (at,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, at)
    struct.pack_into("<I", data, at + 2 + 12 * count, at)
    return bytes(data)


DEFLATED = tiff(samples("u1", 20, 30), compression="zlib")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(GOOD[:-1], "cut short", id="one byte short"),
        pytest.param(GOOD[:60], "cut short", id="directory cut"),
        pytest.param(GOOD[:4], "cut short", id="signature only"),
        pytest.param(b"II*\0\0\0\0\0", "no picture", id="no directory"),
        pytest.param(circular(), "circle", id="circle"),
        pytest.param(changed(279, 599), "ends early", id="strip too short"),
        pytest.param(changed(273, 10**6), "cut short", id="strip beyond the end"),
        pytest.param(changed(278, 7), "parts of it are missing", id="strips missing"),
        pytest.param(changed(258, 9), "kind that is not read here", id="nine bits"),
        pytest.param(changed(259, 7), r"compression .*number 7", id="JPEG inside"),
        pytest.param(changed(277, 5), "5 channels", id="five channels"),
        pytest.param(changed(262, 5), "colour kind", id="CMYK"),
        pytest.param(changed(262, 2), "colour kind", id="RGB of one channel"),
        pytest.param(changed(262, 3), "tag 320", id="palette missing"),
        pytest.param(changed(256, 0), "0 x 20 pixels", id="no width"),
        pytest.param(changed(279, 100, DEFLATED), "too long or short", id="deflate cut"),
        pytest.param(changed(256, 29, DEFLATED), "too long or short", id="deflate too long"),
        pytest.param(changed(259, 5), "bad LZW|ends early", id="no LZW"),
    ],
)
def test_damage_is_refused(read, data, message):
    with pytest.raises(UnreadableError, match=message):
        read(data)


def test_a_last_strip_that_is_filled_up_is_read(read):
    pixels = samples("u1", 20, 30)
    data = changed(257, 18, tiff(pixels, compression="zlib", rowsperstrip=8))
    np.testing.assert_array_equal(read(data), pixels[:18])


def test_limits_are_checked_before_unpacking(read):
    with pytest.raises(UnreadableError, match="60000 x 20 pixels, beyond the limit"):
        read(changed(256, 60000))
    tiled = tiff(samples("u1", 20, 30), tile=(32, 32))
    with pytest.raises(UnreadableError, match="beyond the limit"):
        read(changed(322, 60000, tiled))
    with pytest.raises(UnreadableError, match="no proper tiles"):
        read(changed(322, 1, tiled))
    colour = tiff(samples("f8", 20, 30, 3), photometric="rgb")
    with pytest.raises(UnreadableError, match="unpacks to more than"):
        read(colour, limits=ReadLimits(max_pixels=600))
