"""From settings to a network that answers in months."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from boneage.errors import SettingsError
from boneage.network.efficientnet import AGE_BINS_MONTHS, EfficientNetLite
from boneage.network.hypermodel import Hypermodel
from boneage.network.regions import WHOLE, Region
from boneage.network.residual import ResidualNetwork
from boneage.network.settings import LARGEST_SIZE_PX, SMALLEST_SIZE_PX, NetworkSettings

__all__ = ["Answer", "BoneAgeNetwork", "build_network"]


# exp() stays finite on any input; trained networks stay far from either end.
_LOG_SPREAD = (-6.0, 2.0)

_STEPS = 32
"""Points on the path from an empty image. With 8, sums were off by up to 1.4 of 100 months."""


class Answer(NamedTuple):
    """What a network says of N radiographs.

    Attributes:
        months: Bone age in months, float32, shape (N,).
        expected_error_months: The absolute error that is expected, in months, shape (N,), or None.
        logits: A logit for each of ``AGE_BINS_MONTHS``, shape (N, ages), or None; None too where
            several regions were asked.
    """

    months: Tensor
    expected_error_months: Tensor | None
    logits: Tensor | None


class BoneAgeNetwork(nn.Module):
    """A network body and the label scale, so that the outside only ever sees months.

    Args:
        body: Maps (image, sex) to a standardised bone age, shape (N,); or, as
            :class:`~boneage.network.efficientnet.EfficientNetLite`, to a distribution over ages.
        mean_months: Mean bone age of the training set, in months.
        sd_months: Its standard deviation, in months, above 0.
        others: Bodies that look at further regions; the mean of all answers counts.
        regions: What each body, and then each of the others, looks at.
    """

    mean_months: Tensor
    sd_months: Tensor
    ages_months: Tensor

    def __init__(
        self,
        body: nn.Module,
        *,
        mean_months: float,
        sd_months: float,
        others: Sequence[nn.Module] = (),
        regions: Sequence[Region] = (WHOLE,),
    ) -> None:
        super().__init__()
        self.body = body
        self.others = nn.ModuleList(others)
        self.regions = tuple(regions)
        self.asked = tuple(range(len(self.regions)))
        self.register_buffer("mean_months", torch.tensor(float(mean_months)))
        self.register_buffer("sd_months", torch.tensor(float(sd_months)))
        self.register_buffer("ages_months", torch.tensor(AGE_BINS_MONTHS), persistent=False)

    def forward(self, image: Tensor, sex: Tensor) -> Tensor:
        """Bone age in months.

        Args:
            image: Prepared radiographs, float, shape (N, 1, S, S), 0 to 1.
            sex: 1 for male, 0 for female, float, shape (N,).

        Returns:
            Bone age in months, float32, shape (N,).
        """
        return self.answer(image, sex).months

    def answer(self, image: Tensor, sex: Tensor) -> Answer:
        """Bone age and all else that the body says of it; the arguments are those of the call."""
        return _mean(self.answers(image, sex))

    def answers(self, image: Tensor, sex: Tensor, *, learning: bool = False) -> list[Answer]:
        """What each region says on its own.

        Args:
            image: As for the call.
            sex: As for the call.
            learning: Ask only those that have weights that are not frozen.
        """
        return [
            self._answer(body(region.of(image), sex).float())
            for body, region in self.parts()
            if not learning or any(weight.requires_grad for weight in body.parameters())
        ]

    @property
    def prefixes(self) -> tuple[str, ...]:
        """What the names of the weights and layers of each body begin with."""
        return ("body.", *(f"others.{number}." for number in range(len(self.others))))

    def parts(self) -> Iterator[tuple[nn.Module, Region]]:
        """Every body that is asked, with what it looks at."""
        pairs = list(zip((self.body, *self.others), self.regions, strict=True))
        return (pairs[number] for number in self.asked)

    def only(self, asked: Sequence[int]) -> "BoneAgeNetwork":
        """The network without the bodies of all other regions; those that stay are shared.

        Args:
            asked: Numbers of the regions that stay, from 0, at least one.
        """
        bodies = [
            body if number in asked else nn.Identity()
            for number, body in enumerate((self.body, *self.others))
        ]
        network = BoneAgeNetwork(
            bodies[0],
            mean_months=float(self.mean_months),
            sd_months=float(self.sd_months),
            others=bodies[1:],
            regions=self.regions,
        )
        network.asked = tuple(asked)
        return network.train(self.training)

    def explained(self, image: Tensor, sex: Tensor) -> tuple[Answer, Tensor]:
        """The answer, and how much each place moves it away from that to an empty image.

        Integrated gradients (Sundararajan et al. 2017, arXiv:1703.01365) over the head, from the
        features of a black image to those of this one. The head is linear up to the distribution,
        so the path costs nothing beside the one pass through the trunk. Only where
        :attr:`gives_heat_map`.

        Args:
            image: As for the call.
            sex: As for the call.

        Returns:
            The answer, and contributions in months, shape (N, H, W), a number a place; where there
            are several regions, their mean in the frame of the image. Over all places they add up
            to the bone age less that of the black image, to a few hundredths.
        """
        answers, maps = zip(
            *(self._explained(body, region.of(image), sex) for body, region in self.parts()),
            strict=True,
        )
        regions = [region for _, region in self.parts()]
        if regions == [WHOLE]:
            return answers[0], maps[0]
        cells = round(maps[0].shape[-1] / regions[0].side)
        total = torch.zeros((), device=image.device)
        for values, region in zip(maps, regions, strict=True):
            total = total + region.in_frame(values, image.shape[-1], cells)
        return _mean(answers), total / len(maps)

    def _explained(self, body: nn.Module, image: Tensor, sex: Tensor) -> tuple[Answer, Tensor]:
        assert isinstance(body, EfficientNetLite)
        places = body.places(image, sex)
        empty = body.empty_places(image, sex)
        answer, start = self._answer(body.head(places).float()), body.head(empty).float()[:, :-1]
        assert answer.logits is not None
        steps = (torch.arange(_STEPS, device=image.device) + 0.5) / _STEPS
        between = start[:, None] + steps[:, None] * (answer.logits - start)[:, None]
        shares = between.softmax(dim=2)
        months = (shares * self.ages_months).sum(dim=2, keepdim=True)
        # How the mean of the distribution follows each logit, over the path: d months / d logit.
        slopes = (shares * (self.ages_months - months)).mean(dim=1)
        return answer, body.contributions((places - empty).float(), slopes)

    def remember_empty(self, side_px: int | None) -> None:
        """Let every body keep its features of a black image of that side, or forget them."""
        for body, region in self.parts():
            if isinstance(body, EfficientNetLite):
                body.remember_empty(None if side_px is None else region.side_px(side_px))

    def freeze(self, blocks: int, regions: int = 0) -> None:
        """Keep weights and statistics from learning; nothing but an EfficientNet can be frozen.

        Args:
            blocks: Blocks at the start of every trunk, and the stem before them; 0 for none.
            regions: So many of the bodies, the first ones, as a whole.
        """
        for number, (body, _) in enumerate(self.parts()):
            if isinstance(body, EfficientNetLite):
                body.freeze(None if number < regions else blocks)

    def _answer(self, raw: Tensor) -> Answer:
        if raw.ndim == 1:
            return Answer(raw * self.sd_months + self.mean_months, None, None)
        logits = raw[:, :-1]
        months = (logits.softmax(dim=1) * self.ages_months).sum(dim=1)
        spread = torch.exp(raw[:, -1].clamp(*_LOG_SPREAD)) * self.sd_months
        return Answer(months, spread, logits)

    @property
    def expects_error(self) -> bool:
        """Whether the body answers with an expected error, too."""
        return all(isinstance(body, EfficientNetLite) for body, _ in self.parts())

    @property
    def gives_heat_map(self) -> bool:
        """Whether what each place adds to the answer is known without a second pass."""
        return all(isinstance(body, EfficientNetLite) for body, _ in self.parts())


def build_network(
    settings: NetworkSettings,
    *,
    size_px: int,
    mean_months: float = 0.0,
    sd_months: float = 1.0,
) -> BoneAgeNetwork:
    """Build an untrained network.

    Args:
        settings: Architecture and its shape.
        size_px: Side of the square input in pixels, 32 to 2048.
        mean_months: Mean bone age of the training set, in months.
        sd_months: Its standard deviation, in months.

    Returns:
        The network, weights drawn from torch's global generator.

    Raises:
        SettingsError: The size is out of range or too small for the layers.
    """
    if not SMALLEST_SIZE_PX <= size_px <= LARGEST_SIZE_PX:
        raise SettingsError(
            f"--size must be within {SMALLEST_SIZE_PX} to {LARGEST_SIZE_PX} px, not {size_px}."
        )
    regions = [Region(*region) for region in settings.regions]
    for region in regions:
        if region.side_px(size_px) < SMALLEST_SIZE_PX:
            raise SettingsError(
                f"The region {list(region)} has {region.side_px(size_px)} px of an image of "
                f"{size_px} px; it needs {SMALLEST_SIZE_PX}. Make it or the image larger."
            )
    body, *others = (_body(settings, size_px) for _ in regions)
    return BoneAgeNetwork(
        body, mean_months=mean_months, sd_months=sd_months, others=others, regions=regions
    )


def _body(settings: NetworkSettings, size_px: int) -> nn.Module:
    if settings.architecture == "hypermodel":
        return Hypermodel(
            size_px=size_px,
            conv_layers=settings.conv_layers,
            conv_filters=settings.conv_filters,
            dense_units=settings.dense_units,
            dense_depth=settings.dense_depth,
            dropout=settings.dropout,
        )
    if settings.architecture == "efficientnet":
        return EfficientNetLite(
            stages=settings.stages,
            hidden=settings.hidden,
            embedding=settings.embedding,
            dropout=settings.dropout,
        )
    return ResidualNetwork(
        width=settings.width,
        blocks=settings.blocks,
        embedding=settings.embedding,
        dense_units=settings.dense_units,
        dropout=settings.dropout,
    )


def _mean(answers: Sequence[Answer]) -> Answer:
    """One answer of several."""
    if len(answers) == 1:
        return answers[0]
    errors = [a.expected_error_months for a in answers if a.expected_error_months is not None]
    return Answer(
        torch.stack([answer.months for answer in answers]).mean(dim=0),
        torch.stack(errors).mean(dim=0) if len(errors) == len(answers) else None,
        None,
    )
