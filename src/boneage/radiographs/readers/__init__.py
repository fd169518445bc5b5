"""Reading radiographs from image files, a file format a module.

==============  =================================================================================
``reading``     the way in: from a path to a :class:`~boneage.radiographs.radiograph.Radiograph`
``limits``      how large a file or picture may be
``png``         PNG, through OpenCV
``jpeg``        JPEG, through OpenCV
``tiff``        TIFF, unpacked here (the module says why)
``dicom``       DICOM, through pydicom and GDCM (the extra ``dicom``)
``recognise``   which files of a folder are worth trying
``dicomdir``    the files that a DICOMDIR lists
==============  =================================================================================

To add a format, write a module with ``decode(data, limits) -> pixels`` and name it in
``reading``. A ``decode`` gives grey pixels of shape (height, width), upright, or raises
:class:`~boneage.errors.UnreadableError` with a sentence about the file ("it is cut short. ...")
to which ``reading`` puts the file's name.
"""

from boneage.radiographs.readers._dicom_patient import ChildInFile, months_between
from boneage.radiographs.readers.limits import ReadLimits
from boneage.radiographs.readers.reading import (
    age_months_in_file,
    child_in_bytes,
    read_radiograph,
    read_radiograph_bytes,
)
from boneage.radiographs.readers.recognise import IMAGE_SUFFIXES, file_id, looks_like_image

__all__ = [
    "IMAGE_SUFFIXES",
    "ChildInFile",
    "ReadLimits",
    "age_months_in_file",
    "child_in_bytes",
    "file_id",
    "looks_like_image",
    "months_between",
    "read_radiograph",
    "read_radiograph_bytes",
]
