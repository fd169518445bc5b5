"""Lossy copies of training images: what a JPEG of the whole radiograph leaves of the hand."""

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["recompress"]

SHARE_OF_SIDE = 0.78
"""A prepared image of 128 px shows about 100 px of a radiograph, so a JPEG's blocks are larger."""


def recompress(images: Tensor, quality: Tensor) -> Tensor:
    """Images as JPEG files of their radiographs' size would give them back.

    Args:
        images: Prepared radiographs, float, shape (N, 1, S, S), 0 to 1. Not changed.
        quality: JPEG quality of each, 1 to 100, shape (N,); 0 leaves an image as it is.

    Returns:
        The same shape and device; the untouched ones equal, the others in steps of 1/255.
    """
    chosen = torch.nonzero(quality > 0).flatten().tolist()
    if not chosen:
        return images
    result = images.clone()
    for row in chosen:
        grey = (images[row, 0].detach().cpu().numpy() * 255).round().astype(np.uint8)
        result[row, 0] = torch.from_numpy(_through_jpeg(grey, int(quality[row]))).to(images) / 255
    return result


def _through_jpeg(grey: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    side = len(grey)
    small = max(8, round(side * SHARE_OF_SIDE))
    reduced = cv2.resize(grey, (small, small), interpolation=cv2.INTER_AREA)
    _, file = cv2.imencode(".jpg", reduced, [cv2.IMWRITE_JPEG_QUALITY, quality])
    back = cv2.imdecode(file, cv2.IMREAD_GRAYSCALE)
    assert back is not None  # it has just been encoded
    return cv2.resize(back, (side, side), interpolation=cv2.INTER_LINEAR).astype(np.uint8)
