"""Decodes one compressed frame with GDCM: the program that ``_dicom_gdcm`` runs, and nothing else.

It stands alone (it imports nothing of boneage), because it is run by its path, in a process that
lives for one frame: GDCM 3.2.6 ends the whole process on many a damaged JPEG.

On standard input comes a line of JSON and, after it, the frame; on standard output goes the number
of bytes in a line and, after it, the pixels.
"""

import contextlib
import json
import sys


def main() -> None:
    """Decode what comes on standard input."""
    _leave_no_core_file()
    task = json.loads(sys.stdin.buffer.readline())
    sys.path[:] = task["path"]
    import gdcm  # type: ignore[import-untyped, unused-ignore]

    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(sys.stdin.buffer.read())
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((task["width_px"], task["height_px"], 1))
    image.SetDataElement(element)
    kind = gdcm.PhotometricInterpretation.GetPIType(task["photometric"])
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(kind))
    if task["channels"] > 1:
        image.SetPlanarConfiguration(0)
    syntax = gdcm.TransferSyntax.GetTSType(task["transfer_syntax"])
    image.SetTransferSyntax(gdcm.TransferSyntax(syntax))
    bits, container = task["bits"], 8 if task["bits"] <= 8 else 16
    image.SetPixelFormat(
        gdcm.PixelFormat(task["channels"], container, bits, bits - 1, int(task["signed"]))
    )
    # The binding gives bytes as text, what is no UTF-8 as lone surrogates.
    pixels = image.GetBuffer().encode("utf-8", "surrogateescape")
    sys.stdout.buffer.write(b"%d\n" % len(pixels))
    sys.stdout.buffer.write(pixels)
    sys.stdout.buffer.flush()


def _leave_no_core_file() -> None:
    """A crash must not leave the pixels of a patient in the working folder."""
    with contextlib.suppress(ImportError, OSError, ValueError):  # not on every system
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main()
