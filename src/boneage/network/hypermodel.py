"""The hypermodel: the convolutional network whose four hyperparameters a search goes over."""

from torch import Tensor, cat, nn

from boneage.errors import SettingsError

__all__ = ["Hypermodel"]

KERNEL_PX = 3
POOL_PX = 2


class Hypermodel(nn.Module):
    """Convolutions with doubling filters, a dense layer, the sex joined, more dense layers.

    Each convolutional layer is a 3 x 3 convolution that keeps the size, ReLU, batch normalisation
    and 2 x 2 maximum pooling. The flattened map goes through one dense layer; the sex is joined to
    its output; ``dense_depth`` dense layers, each followed by dropout, lead to the one output.

    Args:
        size_px: Side of the square input in pixels. It fixes the first dense layer.
        conv_layers: Number of convolutional layers (searched: 3, 4, 5).
        conv_filters: Filters of the first layer, doubled by each further one (searched: 8, 16, 32).
        dense_units: Units of each dense layer.
        dense_depth: Dense layers after joining the sex (searched: 1, 2, 3).
        dropout: Share dropped after each of these (searched: 0.1, 0.2, 0.3).

    Raises:
        SettingsError: The image is too small for that many poolings.
    """

    def __init__(
        self,
        *,
        size_px: int,
        conv_layers: int = 4,
        conv_filters: int = 16,
        dense_units: int = 256,
        dense_depth: int = 1,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        side = size_px // POOL_PX**conv_layers
        if side < 1:
            raise SettingsError(
                f"--size {size_px} is too small for --conv-layers {conv_layers}: each layer halves "
                f"the image. Use at least {POOL_PX**conv_layers} px or fewer layers."
            )
        layers: list[nn.Module] = []
        channels = 1
        for index in range(conv_layers):
            filters = conv_filters * 2**index
            layers += [
                nn.Conv2d(channels, filters, KERNEL_PX, padding="same"),
                nn.ReLU(inplace=True),
                nn.BatchNorm2d(filters),
                nn.MaxPool2d(POOL_PX),
            ]
            channels = filters
        self.features = nn.Sequential(*layers)
        self.dense = nn.Sequential(
            nn.Flatten(), nn.Linear(channels * side * side, dense_units), nn.ReLU(inplace=True)
        )
        head: list[nn.Module] = []
        units = dense_units + 1
        for _ in range(dense_depth):
            head += [nn.Linear(units, dense_units), nn.ReLU(inplace=True), nn.Dropout(dropout)]
            units = dense_units
        self.head = nn.Sequential(*head, nn.Linear(units, 1))

    def forward(self, image: Tensor, sex: Tensor) -> Tensor:
        """Bone age on the standardised scale of the training labels.

        Args:
            image: Prepared radiographs, float, shape (N, 1, size_px, size_px), 0 to 1.
            sex: 1 for male, 0 for female, float, shape (N,).

        Returns:
            Standardised bone age, shape (N,).
        """
        features = self.dense(self.features(image))
        joined = cat([features, sex[:, None].to(features.dtype)], dim=1)
        return self.head(joined)[:, 0]  # type: ignore[no-any-return]
