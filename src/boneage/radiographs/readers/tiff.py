"""TIFF (revision 6.0, and BigTIFF): unpacked here, not by OpenCV.

OpenCV 4.10 to 5.0 read many a TIFF wrongly and without an error: white-is-zero is put right in
8 but not in 16 bits, colour in separate planes comes out scrambled, grey with alpha is cut to
8 bits, signed samples pass for unsigned ones, and where compressed 8-bit data is damaged the rest
of the picture stays blank. What radiographs need of TIFF is small enough to unpack with NumPy and
zlib: uncompressed, Deflate, LZW and PackBits, in strips or tiles.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from boneage.errors import UnreadableError
from boneage.radiographs.readers._pixels import luminance, refuse_transparent, upright
from boneage.radiographs.readers._tiff_samples import Layout, read_samples
from boneage.radiographs.readers._tiff_tags import Directory, read_directories
from boneage.radiographs.readers.limits import ReadLimits

__all__ = ["decode"]

# Values of tag 262, photometric interpretation.
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE = range(4)
_COLOUR_CHANNELS = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3, _PALETTE: 1}
_REDUCED_RESOLUTION = 1  # bit 0 of tag 254: a thumbnail of another page
_ALPHA_KINDS = (1, 2)  # values of tag 338 that say alpha, premultiplied or not


def decode(data: bytes, limits: ReadLimits) -> NDArray[Any]:
    """Decode a TIFF of one page; thumbnails beside it are passed over.

    Args:
        data: The whole file.
        limits: Largest picture to decode.

    Returns:
        Grey pixels, upright, shape (height, width), larger is brighter. uint8 for up to 8 bits
        (1, 2 and 4 bits are stretched to 0..255), uint16 for 10 to 16 bits (as stored), float32
        for signed, 32-bit and floating-point samples.

    Raises:
        UnreadableError: Damaged, incomplete, several pages, too large, or of a kind not read here.
    """
    page = _only_page(data)
    layout = Layout.of(page, limits)
    photometric = page.number(262)
    colours = _COLOUR_CHANNELS.get(photometric)
    if colours is None or not colours <= layout.channels <= colours + 1:
        raise UnreadableError(
            f"it is a TIFF of a colour kind that is not read here (photometric {photometric}, "
            f"{layout.channels} channels). Save it as grey or RGB"
        )
    samples = read_samples(data, page, layout)
    if layout.channels > colours and page.number(338, 0) in _ALPHA_KINDS:
        refuse_transparent(samples[..., colours])
    if photometric == _PALETTE:
        pixels = _apply_palette(samples[..., 0], page, layout)
    else:
        samples = _to_radiograph_type(samples[..., :colours], layout)
        pixels = luminance(samples[..., ::-1]) if colours == 3 else samples[..., 0]
        if photometric == _WHITE_IS_ZERO:
            pixels = _invert(pixels, layout)
    return upright(pixels, page.number(274, 1))


def _only_page(data: bytes) -> Directory:
    pages = read_directories(data)
    full = [page for page in pages if not page.number(254, 0) & _REDUCED_RESOLUTION]
    if len(full) > 1:
        raise UnreadableError(
            f"it is a TIFF of {len(full)} pages. Save the one page that is the radiograph"
        )
    return full[0] if full else pages[0]


def _to_radiograph_type(samples: NDArray[Any], layout: Layout) -> NDArray[Any]:
    if layout.kind == "u" and layout.bits < 8:
        return np.ascontiguousarray(samples * np.uint8(255 // (2**layout.bits - 1)))
    if layout.kind == "u" and layout.bits <= 16:
        return np.ascontiguousarray(samples)
    with np.errstate(over="ignore"):  # becomes infinite, and is refused below
        floats = np.ascontiguousarray(samples, dtype=np.float32)
    if not np.isfinite(floats).all():
        raise UnreadableError(
            "it has pixels that are no numbers (NaN or infinite). Replace them and save it again"
        )
    return floats


def _invert(pixels: NDArray[Any], layout: Layout) -> NDArray[Any]:
    if pixels.dtype == np.float32:  # no fixed white: mirror the values within their own range
        mirrored = float(pixels.min()) + float(pixels.max()) - pixels.astype(np.float64)
        return mirrored.astype(np.float32)
    white = 255 if layout.bits < 8 else 2**layout.bits - 1
    inverted: NDArray[Any] = pixels.dtype.type(white) - pixels
    return inverted


def _apply_palette(indices: NDArray[Any], page: Directory, layout: Layout) -> NDArray[Any]:
    """Replace palette indices by the luminance of their colours (section 5), in 8 bits."""
    entries = 2**layout.bits
    colours = np.array(page.numbers(320))
    if layout.kind != "u" or layout.bits > 8 or colours.size != 3 * entries:
        raise UnreadableError("the TIFF has no proper palette. Export it again as grey or RGB")
    # Colours have 16 bits; some programs write 8-bit ones all the same.
    colours = (colours >> 8 if colours.max() > 255 else colours).astype(np.uint8)
    table = luminance(np.ascontiguousarray(colours.reshape(3, 1, entries)[::-1].transpose(1, 2, 0)))
    return np.ascontiguousarray(table[0][indices])
