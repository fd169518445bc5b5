"""What a network looks like: one frozen record that a run, a search and a card all share."""

from dataclasses import asdict, dataclass, fields
from typing import Any

from boneage.errors import SettingsError

__all__ = ["ARCHITECTURES", "NetworkSettings"]

ARCHITECTURES = ("residual", "hypermodel", "efficientnet")
SMALLEST_SIZE_PX = 32
LARGEST_SIZE_PX = 2048
RegionValues = tuple[float, float, float, float, bool]
WHOLE_IMAGE: RegionValues = (0.0, 0.0, 1.0, 1.0, False)
MOST_REGIONS = 4


@dataclass(frozen=True)
class NetworkSettings:
    """Shape of the network.

    Attributes:
        architecture: ``residual`` (default), ``hypermodel`` (the convolutional network with the
            four hyperparameters that a search goes over) or ``efficientnet`` (EfficientNet-Lite0,
            which can start from ImageNet weights).
        conv_layers: Hypermodel: number of convolutional layers, 1 to 8 (searched: 3, 4, 5).
        conv_filters: Hypermodel: filters of the first layer, 1 to 512, doubled by each further
            layer (searched: 8, 16, 32).
        dense_units: Units of each dense layer, 1 to 4096.
        dense_depth: Hypermodel: dense layers after the sex is joined, 1 to 8 (searched: 1, 2, 3).
        dropout: Share of dense features dropped in training, 0 to below 1 (searched: 0.1, 0.2,
            0.3).
        width: Residual: channels of the first stage, 8 to 512; each further stage doubles them.
        blocks: Residual: blocks in each stage, 1 to 6 stages.
        embedding: Residual and EfficientNet: size of the vector that stands for the sex, 1 to 512.
        stages: EfficientNet: stages of the trunk that are kept, 3 to 7 (all).
        hidden: EfficientNet: channels of the head at every place, 8 to 4096.
        regions: EfficientNet: parts of the image, 1 to 4, each with a trunk and a head of its own
            whose answers are averaged. Each is (left, top, side, zoom, mirrored): shares of the
            image's side, how much the part is enlarged, 0.25 to 4, and whether it is then mirrored
            (may be left out). (0, 0, 1, 1) is all of it as it is.
    """

    architecture: str = "residual"
    conv_layers: int = 4
    conv_filters: int = 16
    dense_units: int = 256
    dense_depth: int = 1
    dropout: float = 0.2
    width: int = 24
    blocks: tuple[int, ...] = (0, 2, 2, 2)
    embedding: int = 32
    stages: int = 5
    hidden: int = 512
    regions: tuple[RegionValues, ...] = (WHOLE_IMAGE,)

    def __post_init__(self) -> None:
        if self.architecture not in ARCHITECTURES:
            raise SettingsError(
                f"--architecture must be one of {', '.join(ARCHITECTURES)}, "
                f"not {self.architecture!r}."
            )
        for flag, value, low, high in (
            ("--conv-layers", self.conv_layers, 1, 8),
            ("--conv-filters", self.conv_filters, 1, 512),
            ("--dense-units", self.dense_units, 1, 4096),
            ("--dense-depth", self.dense_depth, 1, 8),
            ("--width", self.width, 8, 512),
            ("--embedding", self.embedding, 1, 512),
            ("--stages", self.stages, 3, 7),
            ("--hidden", self.hidden, 8, 4096),
        ):
            if not low <= value <= high:
                raise SettingsError(f"{flag} must be within {low} to {high}, not {value}.")
        if not 0 <= self.dropout < 1:
            raise SettingsError(f"--dropout must be at least 0 and below 1, not {self.dropout}.")
        object.__setattr__(self, "blocks", tuple(int(count) for count in self.blocks))
        if not 1 <= len(self.blocks) <= 6 or min(self.blocks) < 0 or max(self.blocks) > 20:
            raise SettingsError(
                f"--blocks must be 1 to 6 numbers, each 0 to 20, not {list(self.blocks)}."
            )
        object.__setattr__(self, "regions", _regions(self.regions))
        if self.regions != (WHOLE_IMAGE,) and self.architecture != "efficientnet":
            raise SettingsError("regions needs --architecture efficientnet.")

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON-ready values."""
        return {
            **asdict(self),
            "blocks": list(self.blocks),
            "regions": [list(region) for region in self.regions],
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "NetworkSettings":
        """Read what :meth:`to_dict` wrote.

        Raises:
            SettingsError: A key is unknown or a value out of range.
        """
        unknown = sorted(set(values) - {field.name for field in fields(cls)})
        if unknown:
            raise SettingsError(f"Unknown network settings: {', '.join(unknown)}.")
        return cls(**values)


def _regions(values: Any) -> tuple[RegionValues, ...]:
    """Regions as they are kept.

    Raises:
        SettingsError: One of them is no part of the image.
    """
    try:
        regions = tuple(_region(*value) for value in values)
        if not 1 <= len(regions) <= MOST_REGIONS:
            raise ValueError
    except (TypeError, ValueError) as error:
        raise SettingsError(
            f"regions must be 1 to {MOST_REGIONS} of [left, top, side, zoom, mirrored]: shares of "
            "the image's side that lie inside it, an enlargement of 0.25 to 4, and true or false "
            f"(may be left out); not {values!r}."
        ) from error
    return regions


def _region(
    left: float, top: float, side: float, zoom: float, mirrored: bool = False
) -> RegionValues:
    """One region; ValueError or TypeError where it is none."""
    inside = min(left, top) >= 0 < side and max(left, top) + side <= 1 + 1e-9
    if not inside or not 0.25 <= zoom <= 4 or not isinstance(mirrored, bool):
        raise ValueError
    return float(left), float(top), float(side), float(zoom), mirrored
