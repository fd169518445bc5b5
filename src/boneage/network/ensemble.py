"""Several networks as one: the mean of their answers, each also asked about the mirrored hand."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from boneage.network.build import BoneAgeNetwork

__all__ = ["Ensemble"]


class Ensemble(nn.Module):
    """What is exported: bone age and, where every member expects one, the error of it.

    Args:
        members: One network or more, for inputs of one size.
        mirror: Ask about the hand and its mirror image and take the mean. A right hand is a
            mirrored left one, so the answer does not depend on the side.
    """

    def __init__(self, members: Sequence[BoneAgeNetwork], *, mirror: bool) -> None:
        super().__init__()
        self._members = tuple(members)
        self.members = nn.ModuleList(members)  # so that torch sees their weights
        self.mirror = mirror

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
        if self.mirror:
            # One call for both views: half the graph of two calls, and quicker to load.
            image = torch.cat([image, torch.flip(image, dims=(3,))])
            sex = torch.cat([sex, sex])
        answers = [member.answer(image, sex) for member in self._members]
        months = self._mean(torch.stack([answer.months for answer in answers]))
        if not self.expects_error:
            return (months,)
        errors = [answer.expected_error_months for answer in answers]
        return months, self._mean(torch.stack([error for error in errors if error is not None]))

    def _mean(self, values: Tensor) -> Tensor:
        """Mean over members and views of (members, views * N): shape (N,)."""
        views = 2 if self.mirror else 1
        # The number of radiographs is the one that is left open, so that it stays free in ONNX.
        return values.reshape(len(self._members), views, -1).mean(dim=(0, 1))
