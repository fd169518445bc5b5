"""Several networks as one: the mean of their answers, each asked about several views."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from boneage.network.build import BoneAgeNetwork

__all__ = ["Ensemble", "zoomed"]


class Ensemble(nn.Module):
    """What is exported: bone age and, where every member expects one, the error of it.

    Args:
        members: One network or more, for inputs of one size.
        mirror: Ask about the hand and its mirror image and take the mean. A right hand is a
            mirrored left one, so the answer does not depend on the side.
        zooms: Ask about the hand at each of these sizes, 1 or larger, and take the mean; what
            reaches beyond the input is cut off.
        mirror_each: With ``mirror``, ask about the mirror image at each size. Otherwise at every
            second size, the second first, and there not about the hand as it is.
    """

    def __init__(
        self,
        members: Sequence[BoneAgeNetwork],
        *,
        mirror: bool,
        zooms: Sequence[float] = (1.0,),
        mirror_each: bool = True,
    ) -> None:
        super().__init__()
        self._members = tuple(members)
        self.members = nn.ModuleList(members)  # so that torch sees their weights
        self.mirror = mirror
        self.zooms = tuple(zooms)
        self.mirror_each = mirror_each

    @property
    def expects_error(self) -> bool:
        """Whether there is an expected error, too."""
        return all(member.expects_error for member in self._members)

    def forward(self, image: Tensor, sex: Tensor) -> tuple[Tensor, ...]:
        """Bone age in months, shape (N,), and the expected absolute error, if there is one.

        Args:
            image: Prepared radiographs, float, shape (N, 1, S, S), 0 to 1.
            sex: 1 for male, 0 for female, float, shape (N,).
        """
        views = [zoomed(image, zoom) for zoom in self.zooms]
        if self.mirror and self.mirror_each:
            views += [torch.flip(view, dims=(3,)) for view in views]
        elif self.mirror:
            views[1::2] = [torch.flip(view, dims=(3,)) for view in views[1::2]]
        # One call for all views: a fraction of the graph of many calls, and quicker to load.
        image, sex = torch.cat(views), torch.cat([sex] * len(views))
        answers = [member.answer(image, sex) for member in self._members]
        months = self._mean(torch.stack([answer.months for answer in answers]))
        if not self.expects_error:
            return (months,)
        errors = [answer.expected_error_months for answer in answers]
        return months, self._mean(torch.stack([error for error in errors if error is not None]))

    def _mean(self, values: Tensor) -> Tensor:
        """Mean over members and views of (members, views * N): shape (N,)."""
        views = len(self.zooms) * (2 if self.mirror and self.mirror_each else 1)
        # The number of radiographs is the one that is left open, so that it stays free in ONNX.
        return values.reshape(len(self._members), views, -1).mean(dim=(0, 1))


def zoomed(image: Tensor, zoom: float) -> Tensor:
    """The middle of images, enlarged by bilinear interpolation to their own size.

    Args:
        image: Shape (N, 1, S, S).
        zoom: 1 or larger; 1 leaves them as they are.

    Returns:
        The same shape.
    """
    side = image.shape[-1]
    large = round(side * zoom)
    if large == side:
        return image
    enlarged = functional.interpolate(
        image, size=(large, large), mode="bilinear", align_corners=False
    )
    start = (large - side) // 2
    return enlarged[:, :, start : start + side, start : start + side]
