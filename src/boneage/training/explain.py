"""Other ways to ask a trained network what decided, to compare its heat map with.

Grad-CAM takes any convolutional layer of any network that boneage trains; occlusion takes none and
asks the network again and again. Both need the weights and PyTorch. What comes with a prediction,
``Prediction.heat_map``, needs neither; ``docs/explanation/heat-maps.md`` compares them.
"""

import os
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from boneage.errors import InputError, SettingsError
from boneage.inference.bundle import read_card
from boneage.network.build import BoneAgeNetwork, build_network
from boneage.network.regions import WHOLE
from boneage.training.settings import TrainingSettings
from boneage.training.start import read_start

__all__ = ["FILLS", "grad_cam", "layers", "occlusion", "open_network"]

FILLS = ("black", "blur")
"""What :func:`occlusion` puts in the place of a patch."""

Images = NDArray[np.float32]


def open_network(bundle: str | os.PathLike[str], *, fold: int | None = None) -> BoneAgeNetwork:
    """The network of a bundle that boneage trained, on the CPU, in evaluation mode.

    Args:
        bundle: A bundle folder with ``weights.safetensors``, or a run folder.
        fold: The fold, from 1, of a cross-validation.

    Raises:
        BundleError: There is no bundle, or it is damaged.
        InputError: It has no weights, or its card does not say how the network is built.
        TrainingError: The weights are of another network.
    """
    start = read_start(Path(bundle), fold)
    stated = read_card(start.path).trained_on.get("settings")
    if not isinstance(stated, dict):
        raise InputError(
            f"{start.path}: its card does not hold the settings of the training, so the network "
            "cannot be built. Give a bundle that boneage train or boneage crossval made."
        )
    settings = TrainingSettings.from_dict(stated)
    network = build_network(settings.network, size_px=settings.size_px)
    start.load_into(network)
    return network.eval()


def layers(network: BoneAgeNetwork) -> tuple[str, ...]:
    """Names of the convolutional layers, from the image to the answer."""
    return tuple(name for name, module in network.named_modules() if isinstance(module, nn.Conv2d))


def grad_cam(
    network: BoneAgeNetwork, images: Images, sexes: NDArray[np.float32], *, layer: str | None = None
) -> NDArray[np.float32]:
    """Grad-CAM (Selvaraju et al. 2017, doi:10.1109/ICCV.2017.74) of the bone age.

    Each channel of the layer is weighted by the mean over places of the gradient of the bone age.
    Unlike in the paper, what is below 0 is kept: it makes the child younger. The places are taken
    to share the image evenly, or the region of it that the layer is of.

    Args:
        network: In evaluation mode.
        images: Prepared radiographs, float32, shape (N, S, S), 0 to 1.
        sexes: 1 for male, 0 for female, float32, shape (N,).
        layer: Name of a convolutional layer, see :func:`layers`; None for the last that looks at
            the first region.

    Returns:
        Shape (N, H, W) of that layer, float32, in months a place; of a layer that looks at a part
        of the image, put into the frame of the image.

    Raises:
        SettingsError: There is no such layer.
    """
    names = layers(network)
    if layer is None:
        layer = [name for name in names if name.startswith(network.prefixes[0])][-1]
    if layer not in names:
        raise SettingsError(f"layer must be one of {', '.join(names)}, not {layer!r}.")
    kept: list[Tensor] = []

    def keep(_: nn.Module, __: object, output: Tensor) -> Tensor:
        kept.append(output)
        return output.clone()  # an activation that works in place would change what is kept

    handle = network.get_submodule(layer).register_forward_hook(keep)
    try:
        # The weights may be frozen; the gradient then still has to come through the image.
        image = torch.from_numpy(images)[:, None].requires_grad_()
        months = network(image, torch.from_numpy(sexes))
        (gradient,) = torch.autograd.grad(months.sum(), kept[0])
    finally:
        handle.remove()
    weights = gradient.mean(dim=(2, 3), keepdim=True)
    found = (weights * kept[0]).sum(dim=1).detach()
    (region,) = (
        region
        for prefix, region in zip(network.prefixes, network.regions, strict=True)
        if layer.startswith(prefix)
    )
    if region != WHOLE:
        found = region.in_frame(found, images.shape[-1])
    return np.asarray(found.numpy(), np.float32)


def occlusion(
    network: BoneAgeNetwork,
    images: Images,
    sexes: NDArray[np.float32],
    *,
    cells: int = 16,
    patch: float = 0.1875,
    fill: str = "blur",
    batch_size: int = 64,
) -> NDArray[np.float32]:
    """How much younger the child becomes when a patch of the radiograph is covered.

    After Zeiler and Fergus 2014, doi:10.1007/978-3-319-10590-1_53. It costs ``cells`` squared
    passes a radiograph.

    Args:
        network: In evaluation mode.
        images: Prepared radiographs, float32, shape (N, S, S), 0 to 1.
        sexes: 1 for male, 0 for female, float32, shape (N,).
        cells: Places of the patch along a side, 1 to S.
        patch: Side of the patch as a share of S, above 0 to 1.
        fill: ``black``, or ``blur``: the radiograph without anything finer than a sixteenth of S.
        batch_size: Covered radiographs at a time, 1 or more.

    Returns:
        Bone age without the patch taken from that with it, in months, shape (N, cells, cells),
        float32.

    Raises:
        SettingsError: An option is out of its range.
    """
    side = images.shape[-1]
    if not 1 <= cells <= side:
        raise SettingsError(f"cells must be within 1 to {side}, not {cells}.")
    if not 0 < patch <= 1:
        raise SettingsError(f"patch must be above 0 to 1, not {patch!r}.")
    if fill not in FILLS:
        raise SettingsError(f"fill must be one of {', '.join(FILLS)}, not {fill!r}.")
    maps = [
        _occlude(network, image, sex, cells, patch * side / 2, fill, batch_size)
        for image, sex in zip(images, sexes, strict=True)
    ]
    return np.stack(maps) if maps else np.empty((0, cells, cells), np.float32)


def _occlude(
    network: BoneAgeNetwork,
    image: Images,
    sex: np.float32,
    cells: int,
    half_px: float,
    fill: str,
    batch_size: int,
) -> NDArray[np.float32]:
    side = len(image)
    other = np.zeros_like(image)
    if fill == "blur":
        other = np.asarray(cv2.GaussianBlur(image, (0, 0), side / 16), np.float32)
    middles = (np.arange(cells) + 0.5) * side / cells
    ends = [(max(0, round(m - half_px)), round(m + half_px)) for m in middles.tolist()]
    covered = np.repeat(image[np.newaxis], cells * cells + 1, axis=0)  # the last stays uncovered
    for number, (top, bottom) in enumerate(ends):
        for place, (left, right) in enumerate(ends):
            patch = (slice(top, bottom), slice(left, right))
            covered[(number * cells + place, *patch)] = other[patch]
    batches = torch.split(torch.from_numpy(covered)[:, None], batch_size)
    with torch.inference_mode():
        months = torch.cat(
            [network(part, torch.full((len(part),), float(sex))) for part in batches]
        ).numpy()
    return np.asarray(months[-1] - months[:-1], np.float32).reshape(cells, cells)
