"""Several networks as one: the mean of their answers, each asked about several views."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from boneage.network.build import BoneAgeNetwork
from boneage.network.standards import Standards
from boneage.network.views import View

__all__ = ["Ensemble"]

_SPREAD_PLACES = 0.5
"""Standard deviation of what a place's contribution is spread over, in places.

A place sees several times its own share of the image. Maps that are spread so far are more faithful
than raw ones (``docs/explanation/heat-maps.md``).
"""


class Ensemble(nn.Module):
    """What is exported: bone age and, where every member expects one, the error of it.

    Args:
        members: One network or more, for inputs of one size. Each counts by the regions that it
            looks at.
        mirror: Ask about the hand and its mirror image and take the mean. A right hand is a
            mirrored left one, so the answer does not depend on the side.
        zooms: Ask about the hand at each of these sizes, 1 or larger, and take the mean; what
            reaches beyond the input is cut off.
        mirror_each: With ``mirror``, ask about the mirror image at each size. Otherwise at every
            second size, the second first, and there not about the hand as it is.
        standards: Pulls the mean answer to the standards that readers give; None to leave it.
    """

    def __init__(
        self,
        members: Sequence[BoneAgeNetwork],
        *,
        mirror: bool,
        zooms: Sequence[float] = (1.0,),
        mirror_each: bool = True,
        standards: Standards | None = None,
    ) -> None:
        super().__init__()
        self._members = tuple(members)
        self.members = nn.ModuleList(members)  # so that torch sees their weights
        self.mirror = mirror
        self.zooms = tuple(zooms)
        self.mirror_each = mirror_each
        self.standards = standards

    @property
    def expects_error(self) -> bool:
        """Whether there is an expected error, too."""
        return all(member.expects_error for member in self._members)

    @property
    def gives_heat_map(self) -> bool:
        """Whether there is a heat map, too."""
        return all(member.gives_heat_map for member in self._members)

    def remember_empty(self, side_px: int | None) -> None:
        """Let every member keep its features of a black image of that side, or forget them."""
        for member in self._members:
            member.remember_empty(side_px)

    @property
    def views(self) -> tuple[View, ...]:
        """The views that every member is asked about."""
        if self.mirror and self.mirror_each:
            return tuple(View(zoom, side) for side in (False, True) for zoom in self.zooms)
        return tuple(
            View(zoom, self.mirror and place % 2 == 1) for place, zoom in enumerate(self.zooms)
        )

    def forward(self, image: Tensor, sex: Tensor) -> tuple[Tensor, ...]:
        """Bone age in months, shape (N,); expected absolute error and heat map, if there are any.

        Args:
            image: Prepared radiographs, float, shape (N, 1, S, S), 0 to 1.
            sex: 1 for male, 0 for female, float, shape (N,).

        Returns:
            Bone age and, with :attr:`expects_error`, its error in months, shape (N,). With
            :attr:`gives_heat_map`, what each cell of the image adds to the bone age of an empty
            image, in months, shape (N, H, W), from the same pass: the mean over members and views.
            With ``standards``, last, the bone age before it was pulled, shape (N,), which is what
            the heat map adds up to.
        """
        months, *others = self._before_standards(image, sex)
        if self.standards is None:
            return (months, *others)
        return (self.standards(months, sex), *others, months)

    def _before_standards(self, image: Tensor, sex: Tensor) -> tuple[Tensor, ...]:
        side_px = image.shape[-1]
        # One call for all views: a fraction of the graph of many calls, and quicker to load.
        image = torch.cat([view.of(image) for view in self.views])
        sex = torch.cat([sex] * len(self.views))
        if self.gives_heat_map:
            answers, maps = zip(*(m.explained(image, sex) for m in self._members), strict=True)
        else:
            answers, maps = tuple(member.answer(image, sex) for member in self._members), ()
        outputs = [self._mean(torch.stack([answer.months for answer in answers]))]
        errors = [answer.expected_error_months for answer in answers]
        if self.expects_error:
            outputs.append(
                self._mean(torch.stack([error for error in errors if error is not None]))
            )
        if maps:
            outputs.append(self._heat_map(maps, side_px))
        return tuple(outputs)

    def _mean(self, values: Tensor) -> Tensor:
        """Mean over members and views of (members, views * N): shape (N,)."""
        # The number of radiographs is the one that is left open, so that it stays free in ONNX.
        of_members = values.reshape(len(self._members), len(self.views), -1).mean(dim=1)
        return (torch.tensor(self._weights)[:, None].to(values) * of_members).sum(dim=0)

    @property
    def _weights(self) -> list[float]:
        """What each member counts, 1 altogether."""
        regions = [len(member.asked) for member in self._members]
        return [count / sum(regions) for count in regions]

    def _heat_map(self, maps: Sequence[Tensor], side_px: int) -> Tensor:
        """Mean over members and views of maps (views * N, h, w), each put into the image's frame.

        The frame has as many cells as the first map has places, and what each has found is spread
        over its neighbours.
        """
        cells = maps[0].shape[-1]
        total = torch.zeros(())
        for weight, values in zip(self._weights, maps, strict=True):
            places = values.shape[-1]
            shares = [view.shares(side_px, places, cells) for view in self.views]
            down, across = (torch.stack(side)[:, None] for side in zip(*shares, strict=True))
            values = values.reshape(len(self.views), -1, places, places)
            total = total + weight * (down @ values @ across.mT).mean(dim=0)
        spread = _spread(cells)
        return spread @ total @ spread.T


def _spread(cells: int) -> Tensor:
    """A Gaussian blur of sides of so many cells that keeps sums: columns add up to 1."""
    at = torch.arange(cells)
    kernel = torch.exp(-((at[:, None] - at) ** 2) / (2 * _SPREAD_PLACES**2))
    return kernel / kernel.sum(dim=0)
