"""Everything that decides how a network is trained, in one frozen record."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from boneage.errors import SettingsError
from boneage.network.settings import LARGEST_SIZE_PX, SMALLEST_SIZE_PX, NetworkSettings
from boneage.training.augmentation import AugmentationSettings

__all__ = ["DEVICES", "KEEPS", "LOSSES", "PRECISIONS", "TrainingSettings"]

LOSSES = ("l1", "smooth_l1", "mse", "distribution")
PRECISIONS = ("auto", "bf16", "float32")
KEEPS = ("best", "last")
DEVICES = ("auto", "cpu", "cuda", "mps")


@dataclass(frozen=True)
class TrainingSettings:
    """How a network is trained.

    Attributes:
        size_px: Side of the prepared square image in pixels, 32 to 2048.
        epochs: Passes over the training images, 1 to 10,000.
        batch_size: Radiographs per step, 1 to 4096; with several devices, of all together.
        learning_rate: Peak learning rate of AdamW, above 0 to 1.
        weight_decay: Decoupled weight decay of AdamW, 0 to 10; not applied to biases and
            normalisation.
        warmup: Share of all steps over which the rate rises linearly, 0 to below 1; a half cosine
            to zero follows.
        gradient_clip: Largest norm of the gradient, 0 (off) to 1000.
        loss: ``l1`` (default: it is what the MAE measures), ``smooth_l1`` or ``mse``, all on
            labels divided by their standard deviation; or ``distribution``, for the EfficientNet:
            ``l1`` of the mean and the cross-entropy against a distribution about each label.
        pretrained: Start the EfficientNet from ImageNet weights (a package of the extra ``train``).
        ema: Decay of the exponential moving average of the weights, taken after every step, 0
            (off) to below 1. The average is what is validated and kept.
        keep: ``best`` (the epoch with the smallest validation MAE) or ``last``: nothing is chosen
            on the validation part, so its figures are unbiased; ``patience`` is without effect.
        patience: Epochs without a better validation MAE after which training stops, 0 (never) to
            10,000.
        frozen_blocks: Blocks of the EfficientNet's trunk, and the stem before them, that keep their
            weights, 0 (none) to 16. A network that has learned already trains on in less time so:
            with 3 frozen a step takes 0.72 of the time (128 px, one thread).
        frozen_regions: Bodies of a network with several regions, the first ones, that keep their
            weights, 0 to 3: a further region can be learned so beside what is learned already.
        members: How many folds' networks, the first ones, an ensemble asks about each region, 1 to
            50 each; none for all of them. Each network less is time and space saved.
        zooms: Sizes, 1 to 2, at which an ensemble looks at each hand (see ``Ensemble``); training
            itself does not use them.
        mirror_each: Whether an ensemble looks at the mirrored hand at each of the zooms, or only at
            every second one (and there not at the hand as it is): half the work.
        standards: Whether the model that a cross-validation ends with pulls its answers to the
            standards that readers give, as the answers out of fold teach (see
            ``docs/explanation/standards.md``). The mean absolute error falls, the squared one
            rises.
        validation_fraction: Share of the radiographs set aside for validation where no split is
            given, above 0 to 0.5.
        seed: Fixes the weights, the order, the augmentation and the dropout, 0 to 2**32 - 1.
        precision: ``auto`` (bf16 where the processor computes in it, else float32), ``bf16`` or
            ``float32``.
        device: ``auto`` (GPU where there is one), ``cpu``, ``cuda`` or ``mps``.
        devices: GPUs of each machine that train together, 0 (all of them) to 1024; on the CPU
            that many processes.
        nodes: Machines that train together, 1 to 1024; see ``docs/how-to/many-machines.md``.
        threads: Threads that compute on the CPU in each process, 0 (all cores, shared out) to 1024.
        network: Shape of the network.
        augmentation: How training images are varied.
    """

    size_px: int = 256
    epochs: int = 20
    batch_size: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 0.02
    warmup: float = 0.05
    gradient_clip: float = 5.0
    loss: str = "l1"
    pretrained: bool = False
    ema: float = 0.0
    keep: str = "best"
    patience: int = 10
    frozen_blocks: int = 0
    frozen_regions: int = 0
    members: tuple[int, ...] = ()
    zooms: tuple[float, ...] = (1.0,)
    mirror_each: bool = True
    standards: bool = False
    validation_fraction: float = 0.1
    seed: int = 0
    precision: str = "auto"
    device: str = "auto"
    devices: int = 1
    nodes: int = 1
    threads: int = 0
    network: NetworkSettings = field(default_factory=NetworkSettings)
    augmentation: AugmentationSettings = field(default_factory=AugmentationSettings)

    def __post_init__(self) -> None:
        for flag, value, low, high in (
            ("--size", self.size_px, SMALLEST_SIZE_PX, LARGEST_SIZE_PX),
            ("--epochs", self.epochs, 1, 10_000),
            ("--batch-size", self.batch_size, 1, 4096),
            ("--weight-decay", self.weight_decay, 0, 10),
            ("--gradient-clip", self.gradient_clip, 0, 1000),
            ("--patience", self.patience, 0, 10_000),
            ("--frozen-blocks", self.frozen_blocks, 0, 16),
            ("--seed", self.seed, 0, 2**32 - 1),
            ("--devices", self.devices, 0, 1024),
            ("--nodes", self.nodes, 1, 1024),
            ("--threads", self.threads, 0, 1024),
        ):
            if not low <= value <= high:
                raise SettingsError(f"{flag} must be within {low} to {high}, not {value}.")
        if not 0 < self.learning_rate <= 1:
            raise SettingsError(
                f"--learning-rate must be above 0 and at most 1, not {self.learning_rate}."
            )
        if not 0 <= self.warmup < 1:
            raise SettingsError(f"--warmup must be at least 0 and below 1, not {self.warmup}.")
        object.__setattr__(self, "members", tuple(self.members))
        if self.members and (
            len(self.members) != len(self.network.regions)
            or not all(isinstance(n, int) and 1 <= n <= 50 for n in self.members)
        ):
            raise SettingsError(
                "members must be a whole number, 1 to 50, for each of the "
                f"{len(self.network.regions)} regions, or none at all, not {list(self.members)}."
            )
        object.__setattr__(self, "zooms", tuple(float(zoom) for zoom in self.zooms))
        if not self.zooms or len(self.zooms) > 8 or not all(1 <= zoom <= 2 for zoom in self.zooms):
            raise SettingsError(
                f"zooms must be 1 to 8 numbers within 1 to 2, not {list(self.zooms)}."
            )
        if not 0 <= self.ema < 1:
            raise SettingsError(f"--ema must be at least 0 and below 1, not {self.ema}.")
        for flag, switch in (
            ("--pretrained", self.pretrained),
            ("mirror_each", self.mirror_each),
            ("standards", self.standards),
        ):
            if not isinstance(switch, bool):
                raise SettingsError(f"{flag} is on or off, not {switch!r}.")
        if self.frozen_blocks and self.network.architecture != "efficientnet":
            raise SettingsError("--frozen-blocks needs --architecture efficientnet.")
        if not 0 <= self.frozen_regions < len(self.network.regions):
            raise SettingsError(
                f"frozen_regions must be at least 0 and below the number of regions, "
                f"{len(self.network.regions)}, not {self.frozen_regions}: one has to learn."
            )
        if self.pretrained and self.network.architecture != "efficientnet":
            raise SettingsError(
                "--pretrained needs --architecture efficientnet: there are no ImageNet weights for "
                f"{self.network.architecture}."
            )
        if self.loss == "distribution" and self.network.architecture != "efficientnet":
            raise SettingsError(
                "--loss distribution needs --architecture efficientnet: no other network answers "
                "with a distribution."
            )
        if not 0 < self.validation_fraction <= 0.5:
            raise SettingsError(
                "--validation-fraction must be above 0 and at most 0.5, "
                f"not {self.validation_fraction}."
            )
        for flag, word, words in (
            ("--loss", self.loss, LOSSES),
            ("--keep", self.keep, KEEPS),
            ("--precision", self.precision, PRECISIONS),
            ("--device", self.device, DEVICES),
        ):
            if word not in words:
                raise SettingsError(f"{flag} must be one of {', '.join(words)}, not {word!r}.")

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON-ready values."""
        values = asdict(self)
        values["zooms"] = list(self.zooms)
        values["members"] = list(self.members)
        values["network"] = self.network.to_dict()
        values["augmentation"] = self.augmentation.to_dict()
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "TrainingSettings":
        """Read what :meth:`to_dict` wrote; absent fields keep their defaults.

        Raises:
            SettingsError: A key is unknown or a value out of range.
        """
        return cls().updated(**values)

    def updated(self, **changes: Any) -> "TrainingSettings":
        """A copy with some fields changed.

        Fields of ``network`` and ``augmentation`` may be given by their own names
        (``updated(epochs=5, dropout=0.1)``) or as whole records or dictionaries.

        Raises:
            SettingsError: A name is unknown or a value out of range.
        """
        own = {item.name for item in fields(self)}
        network = self.network.to_dict()
        augmentation = self.augmentation.to_dict()
        direct: dict[str, Any] = {}
        for name, value in changes.items():
            if name == "network":
                network |= value.to_dict() if isinstance(value, NetworkSettings) else dict(value)
            elif name == "augmentation":
                given = isinstance(value, AugmentationSettings)
                augmentation |= value.to_dict() if given else dict(value)
            elif name in own:
                direct[name] = value
            elif name in network:
                network[name] = value
            elif name in augmentation:
                augmentation[name] = value
            else:
                raise SettingsError(f"There is no training setting called {name!r}.")
        return replace(
            self,
            **direct,
            network=NetworkSettings.from_dict(network),
            augmentation=AugmentationSettings.from_dict(augmentation),
        )
