"""Lossy copies of training images: what a JPEG of the whole radiograph leaves of the hand."""

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["recompress"]


def recompress(images: Tensor, quality: Tensor, span: Tensor, share: float) -> Tensor:
    """Images as JPEG files of their radiographs' size would give them back.

    A file is compressed before its grey values are stretched, so that in a dark film the blocks
    are stretched with the hand.

    Args:
        images: Prepared radiographs, float, shape (N, 1, S, S), 0 to 1. Not changed.
        quality: JPEG quality of each, 1 to 100, shape (N,); 0 leaves an image as it is.
        span: Share of the file's grey scale that the hand took, above 0 to 1, shape (N,).
        share: Side of the file as a share of S, above 0 to 1.

    Returns:
        The same shape and device, 0 to 1; the untouched ones equal.
    """
    chosen = torch.nonzero(quality > 0).flatten().tolist()
    if not chosen:
        return images
    result = images.clone()
    for row in chosen:
        white = 255 * float(span[row])
        grey = (images[row, 0].detach().cpu().numpy() * white).round().astype(np.uint8)
        back = torch.from_numpy(_through_jpeg(grey, int(quality[row]), share)).to(images)
        result[row, 0] = (back / white).clamp_(0, 1)
    return result


def _through_jpeg(grey: NDArray[np.uint8], quality: int, share: float) -> NDArray[np.float32]:
    side = len(grey)
    small = max(8, round(side * share))
    reduced = cv2.resize(grey, (small, small), interpolation=cv2.INTER_AREA)
    _, file = cv2.imencode(".jpg", reduced, [cv2.IMWRITE_JPEG_QUALITY, quality])
    back = cv2.imdecode(file, cv2.IMREAD_GRAYSCALE)
    assert back is not None  # it has just been encoded
    whole = back.astype(np.float32)  # in a dark film a step of 1 is much of the hand
    return np.asarray(cv2.resize(whole, (side, side), interpolation=cv2.INTER_LINEAR), np.float32)
