"""EfficientNet-Lite0 for radiographs, with a head whose answer is a mean over places.

The trunk is that of EfficientNet-Lite0 (Tan and Le 2019, arXiv:1905.11946, in the variant without
squeeze-and-excitation and with ReLU6 that its authors published for edge devices), so that the
weights that it learned on ImageNet can be its start. It may be cut after any stage: the fifth, at
a sixteenth of the input's side, keeps twice the resolution of the last.

The head joins the sex to the features of every place and only then takes the mean over all places.
It answers with a distribution over ages: what each place adds to the logit of each age is known
exactly, not estimated.
"""

from typing import NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["AGE_BINS_MONTHS", "STAGES", "EfficientNetLite", "InvertedResidual", "SamePadConv"]


class _Stage(NamedTuple):
    repeats: int
    kernel: int
    stride: int
    expansion: int
    channels: int


STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)
"""The seven stages of EfficientNet-Lite0; its stem of 32 channels halves the image before them."""

AGE_BINS_MONTHS = tuple(float(age) for age in range(0, 240, 4))
"""The ages, in months, that the answer is a distribution over."""

_STEM_CHANNELS = 32
_EPSILON = 1e-3
# ImageNet weights expect values about zero with unit spread; prepared radiographs have about these.
_MEAN, _SPREAD = 0.3, 0.25


class SamePadConv(nn.Conv2d):
    """A convolution without bias, padded as TensorFlow's ``SAME``: more on the right and bottom.

    The published weights were learned with it, and a stride of 2 shifts the picture otherwise.
    """

    def __init__(
        self, channels_in: int, channels_out: int, kernel: int, stride: int = 1, groups: int = 1
    ) -> None:
        padding = kernel // 2 if stride == 1 else 0
        super().__init__(
            channels_in, channels_out, kernel, stride, padding, groups=groups, bias=False
        )

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        """Map (N, C_in, H, W) to (N, C_out, ceil(H / stride), ceil(W / stride))."""
        if self.stride[0] == 1:
            return super().forward(input)
        kernel, stride = self.kernel_size[0], self.stride[0]
        extra = [
            max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in input.shape[-2:]
        ]
        down, across = extra
        padded = functional.pad(
            input, (across // 2, across - across // 2, down // 2, down - down // 2)
        )
        return super().forward(padded)


class InvertedResidual(nn.Module):
    """Expand the channels, convolve each on its own, project; add the input where shapes allow.

    Args:
        channels_in: Channels of the input.
        channels_out: Channels of the output.
        kernel: Side of the depthwise kernel in pixels.
        stride: 1 keeps the size, 2 halves it.
        expansion: Factor by which the channels grow inside; 1 leaves the expansion out.
    """

    def __init__(
        self, channels_in: int, channels_out: int, kernel: int, stride: int, expansion: int
    ) -> None:
        super().__init__()
        inner = channels_in * expansion
        self.expand: nn.Module = nn.Identity()
        if expansion != 1:
            self.expand = nn.Sequential(
                SamePadConv(channels_in, inner, 1),
                nn.BatchNorm2d(inner, eps=_EPSILON),
                nn.ReLU6(inplace=True),
            )
        self.depthwise = nn.Sequential(
            SamePadConv(inner, inner, kernel, stride, groups=inner),
            nn.BatchNorm2d(inner, eps=_EPSILON),
            nn.ReLU6(inplace=True),
        )
        self.project = nn.Sequential(
            SamePadConv(inner, channels_out, 1), nn.BatchNorm2d(channels_out, eps=_EPSILON)
        )
        self.adds_input = stride == 1 and channels_in == channels_out

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C_in, H, W) to (N, C_out, ceil(H / stride), ceil(W / stride))."""
        out: Tensor = self.project(self.depthwise(self.expand(x)))
        return out + x if self.adds_input else out


class EfficientNetLite(nn.Module):
    """A distribution over bone ages, and how far it may be off, from a radiograph and the sex.

    Args:
        stages: Stages of the trunk that are kept, 3 to 7.
        hidden: Channels of the head at every place.
        embedding: Size of the learned vector that stands for the sex.
        dropout: Share of the pooled features that is dropped in training, 0 to below 1.
    """

    empty: Tensor | None

    def __init__(
        self, *, stages: int = 5, hidden: int = 512, embedding: int = 32, dropout: float = 0.2
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            SamePadConv(1, _STEM_CHANNELS, 3, 2),
            nn.BatchNorm2d(_STEM_CHANNELS, eps=_EPSILON),
            nn.ReLU6(inplace=True),
        )
        blocks: list[nn.Module] = []
        channels = _STEM_CHANNELS
        for stage in STAGES[:stages]:
            for position in range(stage.repeats):
                stride = stage.stride if position == 0 else 1
                blocks.append(
                    InvertedResidual(
                        channels, stage.channels, stage.kernel, stride, stage.expansion
                    )
                )
                channels = stage.channels
        self.blocks = nn.Sequential(*blocks)
        self.hidden = nn.Conv2d(channels, hidden, 1, bias=False)
        self.hidden_norm = nn.BatchNorm2d(hidden)
        self.sex_embedding = nn.Sequential(nn.Linear(1, embedding), nn.Linear(embedding, hidden))
        self.dropout = nn.Dropout(dropout)
        self.answer = nn.Linear(hidden, len(AGE_BINS_MONTHS) + 1)
        self.register_buffer("empty", None, persistent=False)
        self._frozen: tuple[nn.Module, ...] = ()

    def freeze(self, blocks: int | None) -> None:
        """Keep the weights and the statistics of the stem and the first blocks from learning.

        Args:
            blocks: How many; 0 freezes nothing, not even the stem, and None everything.
        """
        if blocks is None:
            self._frozen = tuple(self.children())
        else:
            self._frozen = (self.stem, *list(self.blocks)[:blocks]) if blocks else ()
        for module in self._frozen:
            module.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Set the mode of training; what is frozen stays in that of evaluation."""
        super().train(mode)
        for module in self._frozen:
            module.eval()
        return self

    def forward(self, image: Tensor, sex: Tensor) -> Tensor:
        """Logits of the ages, and the expected error.

        Args:
            image: Prepared radiographs, float, shape (N, 1, S, S), 0 to 1; S is at least 32.
            sex: 1 for male, 0 for female, float, shape (N,).

        Returns:
            Shape (N, ages + 1): a logit for each of ``AGE_BINS_MONTHS``, and last the logarithm of
            the absolute error that is expected, in standard deviations of the training labels.
        """
        return self.head(self.places(image, sex))

    def head(self, places: Tensor) -> Tensor:
        """What is said of the features of all places, (N, hidden, H, W): shape (N, ages + 1)."""
        return self.answer(self.dropout(places.mean(dim=(2, 3))))  # type: ignore[no-any-return]

    def places(self, image: Tensor, sex: Tensor) -> Tensor:
        """Features of every place, the sex joined: shape (N, hidden, H, W)."""
        return self._joined(self._features(image), sex)

    def empty_places(self, image: Tensor, sex: Tensor) -> Tensor:
        """What :meth:`places` gives of black images of the size of ``image``."""
        if self.empty is not None:
            return self._joined(self.empty, sex)
        return self.places(image.new_zeros(1, *image.shape[1:]), sex)

    @torch.no_grad()
    def remember_empty(self, side_px: int | None) -> None:
        """Keep the features of a black image, so that they are computed once.

        Args:
            side_px: Its side; None to forget them, which is due before the weights change.
        """
        self.empty = None
        if side_px is not None:
            device = self.answer.weight.device
            self.empty = self._features(torch.zeros(1, 1, side_px, side_px, device=device))

    def _features(self, image: Tensor) -> Tensor:
        return self.blocks(self.stem((image - _MEAN) / _SPREAD))  # type: ignore[no-any-return]

    def _joined(self, features: Tensor, sex: Tensor) -> Tensor:
        joined = self.hidden_norm(self.hidden(features))
        joined = joined + self.sex_embedding(sex[:, None] - 0.5)[:, :, None, None]
        return torch.relu(joined)

    def contributions(self, places: Tensor, weights: Tensor) -> Tensor:
        """What features at every place add to a weighted sum of the logits, bias left out.

        Args:
            places: Features of the places or differences of such, shape (N, hidden, H, W).
            weights: Weight of each age's logit, shape (N, ages).

        Returns:
            Shape (N, H, W). Its sum over places is the weighted sum: the head is linear.
        """
        height, width = places.shape[-2:]
        along = (weights @ self.answer.weight[:-1])[:, None, :]
        # A product of matrices reads the features where they lie; an einsum would copy them.
        return (along @ places.flatten(2)).reshape(-1, height, width) / (height * width)
