"""The residual network: a compact ResNet with global pooling and a sex embedding.

Basic blocks after He et al. 2016 (doi:10.1109/CVPR.2016.90) with squeeze-and-excitation (Hu et al.
2018, doi:10.1109/CVPR.2018.00745). The stem reduces the image fourfold at once: at the default
256 px a prepared hand from a 100 px source is upsampled more than twofold, so the first pixels
carry no detail of their own and the convolutions that cost most run at 64 x 64.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["ResidualBlock", "ResidualNetwork", "SqueezeExcitation"]


class SqueezeExcitation(nn.Module):
    """Reweights channels by what the whole map holds.

    Args:
        channels: Number of channels in and out.
        reduction: Factor by which the hidden layer is narrower.
    """

    def __init__(self, channels: int, reduction: int = 8) -> None:
        super().__init__()
        hidden = max(8, channels // reduction)
        self.squeeze = nn.Linear(channels, hidden)
        self.excite = nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Scale the channels of ``x``, shape (N, C, H, W); the shape stays."""
        weights = torch.relu(self.squeeze(x.mean(dim=(2, 3))))
        weights = torch.sigmoid(self.excite(weights))
        return x * weights[:, :, None, None]


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut.

    Args:
        channels_in: Channels of the input.
        channels_out: Channels of the output.
        stride: 1 keeps the size, 2 halves it.
    """

    def __init__(self, channels_in: int, channels_out: int, stride: int = 1) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False),
            nn.BatchNorm2d(channels_out),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False),
            nn.BatchNorm2d(channels_out),
        )
        self.attention = SqueezeExcitation(channels_out)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels_in != channels_out:
            # Pooling before the 1 x 1 convolution keeps the three quarters of the pixels that a
            # strided 1 x 1 convolution would drop (He et al. 2019, doi:10.1109/CVPR.2019.00065).
            self.shortcut = nn.Sequential(
                nn.AvgPool2d(stride, ceil_mode=True) if stride > 1 else nn.Identity(),
                nn.Conv2d(channels_in, channels_out, 1, bias=False),
                nn.BatchNorm2d(channels_out),
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C_in, H, W) to (N, C_out, ceil(H / stride), ceil(W / stride))."""
        return torch.relu(self.attention(self.convolutions(x)) + self.shortcut(x))


class ResidualNetwork(nn.Module):
    """Bone age from a prepared radiograph and the sex.

    Args:
        width: Channels of the first stage; each further stage doubles them.
        blocks: Residual blocks per stage, one number a stage.
        embedding: Size of the learned vector that stands for the sex.
        dense_units: Units of the dense layer after pooled features and sex are joined.
        dropout: Share of the joined features that is dropped in training, 0 to below 1.
    """

    def __init__(
        self,
        *,
        width: int = 24,
        blocks: Sequence[int] = (0, 2, 2, 2),
        embedding: int = 32,
        dense_units: int = 256,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        stages: list[nn.Module] = [
            nn.Conv2d(1, width, 8, 4, 2, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        ]
        channels = width
        for index, count in enumerate(blocks):
            channels_out = width * 2**index
            for position in range(count):
                stride = 2 if position == 0 and index > 0 else 1
                stages.append(ResidualBlock(channels, channels_out, stride))
                channels = channels_out
        self.features = nn.Sequential(*stages)
        # A linear layer on the one number is an embedding of two classes that ONNX, autocast and
        # a soft sex (mixing augmentations) all take as it is.
        self.sex_embedding = nn.Linear(1, embedding)
        self.head = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(channels + embedding, dense_units),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(dense_units, 1),
        )

    def forward(self, image: Tensor, sex: Tensor) -> Tensor:
        """Bone age on the standardised scale of the training labels.

        Args:
            image: Prepared radiographs, float, shape (N, 1, S, S), 0 to 1; S is at least 32.
            sex: 1 for male, 0 for female, float, shape (N,).

        Returns:
            Standardised bone age, shape (N,).
        """
        pooled = self.features(image - 0.25).mean(dim=(2, 3))
        joined = torch.cat([pooled, self.sex_embedding(sex[:, None] - 0.5)], dim=1)
        return self.head(joined)[:, 0]  # type: ignore[no-any-return]
