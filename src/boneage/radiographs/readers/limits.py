"""How large a file, and the picture that it announces, may be."""

from dataclasses import dataclass

from boneage.errors import SettingsError, UnreadableError

__all__ = ["ReadLimits"]

# Bytes that a decoded pixel may take: four channels of 16 bits.
_MAX_BYTES_PER_PIXEL = 8


@dataclass(frozen=True)
class ReadLimits:
    """Limits on what is read, checked on the file's header before anything is decoded.

    A few hundred bytes can announce a picture of many gigabytes (a decompression bomb). The
    largest flat-panel and film-digitiser radiographs have about 25 million pixels, so the
    defaults leave ample room.

    Attributes:
        max_pixels: Most pixels (height times width) that a picture may have, 1 to 250,000,000.
        max_side_px: Most pixels that one side may have, 1 to 1,000,000 (libpng's own limit).
        max_file_bytes: Largest file that is opened, in bytes, at least 1.
    """

    max_pixels: int = 100_000_000
    max_side_px: int = 20_000
    max_file_bytes: int = 512 * 1024 * 1024

    def __post_init__(self) -> None:
        if not 1 <= self.max_pixels <= 250_000_000:
            raise SettingsError(
                f"max_pixels must be within 1 to 250,000,000, not {self.max_pixels}."
            )
        if not 1 <= self.max_side_px <= 1_000_000:
            raise SettingsError(
                f"max_side_px must be within 1 to 1,000,000, not {self.max_side_px}."
            )
        if self.max_file_bytes < 1:
            raise SettingsError(f"max_file_bytes must be at least 1, not {self.max_file_bytes}.")

    def check_size(self, width_px: int, height_px: int, bytes_per_pixel: float = 1) -> None:
        """Refuse a picture that its header says to be empty or too large.

        Args:
            width_px: Width that the header gives.
            height_px: Height that the header gives.
            bytes_per_pixel: Bytes that one pixel takes, all channels together.

        Raises:
            UnreadableError: The size is beyond the limits, or a side is zero.
        """
        if width_px < 1 or height_px < 1:
            raise UnreadableError(
                f"its header gives a size of {width_px} x {height_px} pixels, which no picture "
                "has: the file is damaged. Export it again"
            )
        if width_px * height_px > self.max_pixels or max(width_px, height_px) > self.max_side_px:
            raise UnreadableError(
                f"it is {width_px} x {height_px} pixels, beyond the limit of "
                f"{self.max_pixels:,} pixels and {self.max_side_px:,} a side. Scale it down first"
            )
        if width_px * height_px * bytes_per_pixel > self.max_pixels * _MAX_BYTES_PER_PIXEL:
            raise UnreadableError(
                f"it unpacks to more than {self.max_pixels * _MAX_BYTES_PER_PIXEL:,} bytes. "
                "Save it as 8- or 16-bit grey first"
            )
