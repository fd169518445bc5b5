"""From the strips or tiles of a TIFF page to its samples (TIFF 6.0, sections 7, 8, 14, 15)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from boneage.errors import UnreadableError
from boneage.radiographs.readers._tiff_compression import unpack
from boneage.radiographs.readers._tiff_tags import Directory
from boneage.radiographs.readers.limits import ReadLimits

__all__ = ["Layout", "read_samples"]

_DAMAGED = "Copy or export it again"

_WHOLE_BYTES = {("u", 8), ("u", 16), ("u", 32), ("i", 8), ("i", 16), ("i", 32)} | {
    ("f", 16), ("f", 32), ("f", 64),
}  # fmt: skip
_PACKED = {("u", bits) for bits in (1, 2, 4, 10, 12, 14)}
_NO_PREDICTOR, _DIFFERENCES, _FLOAT_DIFFERENCES = 1, 2, 3
# Rows of packed samples that are spread out to bits at a time, to bound the memory for it.
_ROWS_AT_A_TIME = 64


@dataclass(frozen=True)
class Layout:
    """How the samples of a page lie in the file.

    Attributes:
        width_px: Width of the picture.
        height_px: Height of the picture.
        channels: Samples a pixel.
        kind: ``u`` unsigned, ``i`` signed, ``f`` floating point.
        bits: Bits a sample.
        planes: 1 if the samples of a pixel lie together, else as many as channels.
        part_width_px: Width of a tile; of a strip, that of the picture.
        part_height_px: Height of a tile, or rows a strip.
        tiled: Whether it is tiles, which are always whole, or strips.
    """

    width_px: int
    height_px: int
    channels: int
    kind: str
    bits: int
    planes: int
    part_width_px: int
    part_height_px: int
    tiled: bool

    @classmethod
    def of(cls, page: Directory, limits: ReadLimits) -> "Layout":
        """Read the layout from a page's tags and check it against the limits.

        Raises:
            UnreadableError: Tags are missing or contradict each other, the samples are of
                a kind not read here, or the page is too large.
        """
        width, height = page.number(256), page.number(257)
        limits.check_size(width, height)
        channels = page.number(277, 1)
        if not 1 <= channels <= 4:
            raise UnreadableError(f"it has {channels} channels. Save it as grey or RGB")
        all_bits = page.numbers(258) if 258 in page.tags else [1]
        bits = all_bits[0] if all_bits else 0
        kind = {1: "u", 2: "i", 3: "f", 4: "u"}.get(page.number(339, 1), "")
        if (kind, bits) not in _WHOLE_BYTES | _PACKED or any(b != bits for b in all_bits):
            raise UnreadableError(
                f"it is a TIFF with samples of a kind that is not read here (format {kind or '?'}, "
                f"bits {all_bits[:4]}). Save it as 8- or 16-bit grey"
            )
        tiled = 322 in page.tags
        part_width = page.number(322) if tiled else width
        part_height = page.number(323) if tiled else min(page.number(278, height), height)
        planes = channels if page.number(284, 1) == 2 else 1
        layout = cls(width, height, channels, kind, bits, planes, part_width, part_height, tiled)
        # Tiles are multiples of 16 (section 15); smaller ones would only cost time.
        if min(part_width, part_height) < (16 if tiled else 1):
            raise UnreadableError(f"the TIFF has no proper tiles or strips. {_DAMAGED}")
        across, down = layout.parts
        limits.check_size(across * part_width, down * part_height, channels * bits / 8)
        return layout

    @property
    def parts(self) -> tuple[int, int]:
        """Number of tiles or strips across and down one plane."""
        return -(-self.width_px // self.part_width_px), -(-self.height_px // self.part_height_px)

    @property
    def row_samples(self) -> int:
        """Samples in one row of a part."""
        return self.part_width_px * self.channels // self.planes

    @property
    def row_bytes(self) -> int:
        """Bytes of one row of a part; rows begin on whole bytes."""
        return (self.row_samples * self.bits + 7) // 8


def read_samples(data: bytes, page: Directory, layout: Layout) -> NDArray[Any]:
    """Unpack every strip or tile of a page.

    Args:
        data: The whole file.
        page: The page's tags.
        layout: The page's layout.

    Returns:
        Samples as stored, shape (height, width, channels), native byte order. Packed samples
        come as uint8 or uint16, not stretched.

    Raises:
        UnreadableError: A part is missing, damaged or incomplete.
    """
    offsets = page.numbers(324 if layout.tiled else 273)
    sizes = page.numbers(325 if layout.tiled else 279)
    across, down = layout.parts
    if not len(offsets) == len(sizes) == across * down * layout.planes:
        raise UnreadableError(f"the TIFF is damaged: parts of it are missing. {_DAMAGED}")
    if page.number(266, 1) != 1 and layout.bits < 8:
        raise UnreadableError("it is a TIFF with its bits reversed. Save it again uncompressed")
    compression, predictor = page.number(259, 1), page.number(317, _NO_PREDICTOR)
    samples = np.empty(
        (layout.height_px, layout.width_px, layout.channels), _stored_type(layout, "=")
    )
    for index, (offset, size) in enumerate(zip(offsets, sizes, strict=True)):
        plane, place = divmod(index, across * down)
        top = place // across * layout.part_height_px
        left = place % across * layout.part_width_px
        if offset + size > len(data):
            raise UnreadableError(f"the TIFF is cut short at {len(data):,} bytes. {_DAMAGED}")
        rows = min(layout.part_height_px, layout.height_px - top)
        stored_rows = layout.part_height_px if layout.tiled else rows
        raw = unpack(
            data[offset : offset + size],
            compression,
            stored_rows * layout.row_bytes,
            layout.part_height_px * layout.row_bytes,
        )
        part = _undo_predictor(raw, predictor, layout, page.byte_order)
        columns = min(layout.part_width_px, layout.width_px - left)
        target = samples[top : top + rows, left : left + columns]
        if layout.planes > 1:
            target = target[..., plane : plane + 1]
        target[...] = part[:rows, :columns]
    return samples


def _stored_type(layout: Layout, byte_order: str) -> np.dtype[Any]:
    size = 1 if layout.bits <= 8 else 2 if layout.bits <= 16 else layout.bits // 8
    return np.dtype(f"{byte_order}{layout.kind}{size}")


def _undo_predictor(raw: bytes, predictor: int, layout: Layout, byte_order: str) -> NDArray[Any]:
    """Turn the bytes of one part into samples, shape (rows, columns, channels of the part)."""
    channels = layout.channels // layout.planes
    rows = len(raw) // layout.row_bytes
    shape = (rows, layout.part_width_px, channels)
    stored = _stored_type(layout, byte_order)
    if predictor == _FLOAT_DIFFERENCES and layout.kind == "f":
        # Adobe TIFF Technical Note 3: bytes of a row, most significant ones first, differenced.
        spread = np.frombuffer(raw, np.uint8).reshape(rows, -1, channels)
        spread = np.cumsum(spread, axis=1, dtype=np.uint8).reshape(rows, stored.itemsize, -1)
        ordered = np.ascontiguousarray(spread.transpose(0, 2, 1))
        return ordered.view(_stored_type(layout, ">")).reshape(shape)
    if (layout.kind, layout.bits) in _PACKED:
        if predictor != _NO_PREDICTOR:
            raise _unknown_predictor(predictor)
        return _spread_packed(raw, rows, layout).reshape(shape)
    samples = np.frombuffer(raw, stored).reshape(shape)
    if predictor == _DIFFERENCES and layout.kind != "f":
        # Sums wrap around, as the differences did.
        native = _stored_type(layout, "=")
        unsigned = np.dtype(f"u{native.itemsize}")
        differences = samples.astype(native).view(unsigned)
        return np.cumsum(differences, axis=1, dtype=unsigned).view(native)
    if predictor != _NO_PREDICTOR:
        raise _unknown_predictor(predictor)
    return samples


def _spread_packed(raw: bytes, rows: int, layout: Layout) -> NDArray[Any]:
    """Spread samples that do not fill whole bytes; the first one lies in the highest bits."""
    stored = _stored_type(layout, "=")
    packed = np.frombuffer(raw, np.uint8).reshape(rows, layout.row_bytes)
    weights = (1 << np.arange(layout.bits - 1, -1, -1)).astype(stored)
    spread = np.empty((rows, layout.row_samples), stored)
    for top in range(0, rows, _ROWS_AT_A_TIME):
        bits = np.unpackbits(packed[top : top + _ROWS_AT_A_TIME], axis=1)
        bits = bits[:, : layout.row_samples * layout.bits]
        shaped = bits.reshape(len(bits), layout.row_samples, layout.bits)
        spread[top : top + _ROWS_AT_A_TIME] = shaped @ weights
    return spread


def _unknown_predictor(predictor: int) -> UnreadableError:
    return UnreadableError(
        f"it is a TIFF with a predictor that is not read here (number {predictor}). "
        "Save it uncompressed"
    )
