"""From a trained network to a bundle that predicts without PyTorch."""

import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from safetensors.torch import save_file

from boneage.errors import TrainingError
from boneage.inference.bundle import write_bundle
from boneage.inference.card import Card
from boneage.network.build import BoneAgeNetwork
from boneage.network.ensemble import Ensemble

__all__ = ["AGREEMENT_MONTHS", "export_bundle", "predict_with_torch", "store_as_float16", "to_onnx"]

AGREEMENT_MONTHS = 0.05
"""How far ONNX Runtime and PyTorch may differ on any radiograph, in months."""

_OPSET = 20
_SMALLEST_AS_FLOAT16 = 256


def to_onnx(network: BoneAgeNetwork | Ensemble, size_px: int) -> bytes:
    """The network as an ONNX graph with its weights inside.

    Args:
        network: On the CPU. Exported in evaluation mode and float32.
        size_px: Side of the square input in pixels.

    Returns:
        The graph: inputs ``image`` float32 (N, 1, S, S) and ``sex`` float32 (N,), output
        ``bone_age_months`` float32 (N,); N is free. Where the network expects an error, that is
        the output ``expected_error_months`` float32 (N,); where it gives a heat map, that is the
        output ``heat_map`` float32 (N, H, W), in months; where it pulls its answers to standards,
        ``unpulled_months`` float32 (N,) is the bone age before.
    """
    if isinstance(network, BoneAgeNetwork):
        network = Ensemble([network], mirror=False)
    network = network.float().eval()
    # Two examples: the exporter takes a dimension of one for a constant.
    example = (torch.zeros(2, 1, size_px, size_px), torch.zeros(2))
    batch = torch.export.Dim("batch", min=1, max=65_536)
    outputs = ["bone_age_months"]
    outputs += ["expected_error_months"] * network.expects_error
    outputs += ["heat_map"] * network.gives_heat_map
    outputs += ["unpulled_months"] * (network.standards is not None)
    with _quiet_exporter(), _empty_image_remembered(network, size_px):
        program = torch.onnx.export(
            network,
            example,
            input_names=["image", "sex"],
            output_names=outputs,
            dynamic_shapes={"image": {0: batch}, "sex": {0: batch}},
            opset_version=_OPSET,
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise TrainingError("PyTorch exported no ONNX graph from this network.")
    model = program.model_proto
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def store_as_float16(graph: bytes) -> bytes:
    """Keep the large weights of a graph as float16: half the size, still computed in float32.

    ONNX Runtime turns them back once, when it loads the graph, so nothing is slower.

    Args:
        graph: What :func:`to_onnx` gave.

    Returns:
        The graph with a cast behind every weight of at least 256 numbers.

    Raises:
        TrainingError: A weight is beyond what float16 can hold.
    """
    model = onnx.load_model_from_string(graph)
    casts = []
    for weight in model.graph.initializer:
        values = numpy_helper.to_array(weight)
        if values.dtype != np.float32 or values.size < _SMALLEST_AS_FLOAT16:
            continue
        if np.abs(values).max() > np.finfo(np.float16).max:
            raise TrainingError(f"The weight {weight.name} is too large for float16.")
        name = weight.name
        weight.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.float16"))
        casts.append(
            helper.make_node("Cast", [f"{name}.float16"], [name], to=onnx.TensorProto.FLOAT)
        )
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*casts, *nodes])
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def export_bundle(
    folder: Path,
    network: BoneAgeNetwork | Ensemble,
    graph: bytes,
    card: Card,
    *,
    half: bool = False,
) -> Path:
    """Write a bundle: ``model.onnx``, ``weights.safetensors`` and ``card.json``.

    A bundle that is there is replaced.

    Args:
        folder: The bundle's folder.
        network: The trained network, on the CPU.
        graph: What :func:`to_onnx` made of it.
        card: What is known of the model.
        half: Keep the weights to train on from as float16, but for vectors (biases and statistics).

    Returns:
        The bundle's folder.

    Raises:
        OutputError: The system refused to write.
        RunExistsError: Something else than a bundle is there.
    """
    with tempfile.TemporaryDirectory() as scratch:
        weights = Path(scratch) / "weights.safetensors"
        # safetensors wants plain memory, and channels-last weights are strided.
        tensors = {
            name: (value.half() if half and value.ndim > 1 else value).contiguous()
            for name, value in network.state_dict().items()
        }
        save_file(tensors, weights)
        return write_bundle(folder, onnx=graph, card=card, weights=weights, overwrite=True)


def predict_with_torch(
    network: BoneAgeNetwork,
    images: NDArray[np.float32],
    sexes: NDArray[np.float32],
    *,
    batch_size: int = 64,
) -> NDArray[np.float32]:
    """Bone ages by PyTorch in float32, to compare an export with.

    Args:
        network: The trained network.
        images: Prepared radiographs, float32, shape (N, S, S), 0 to 1.
        sexes: 1 for male, 0 for female, shape (N,).
        batch_size: Radiographs at a time.

    Returns:
        Bone ages in months, shape (N,).
    """
    network.eval()
    parts = []
    with torch.inference_mode():
        for start in range(0, len(images), batch_size):
            part = slice(start, start + batch_size)
            image = torch.from_numpy(images[part])[:, None]
            parts.append(network(image, torch.from_numpy(sexes[part])).numpy())
    return np.concatenate(parts) if parts else np.empty(0, np.float32)


@contextmanager
def _empty_image_remembered(network: Ensemble, size_px: int) -> Iterator[None]:
    """Put what a heat map starts from into the graph as a constant, not as a second trunk."""
    network.remember_empty(size_px)
    try:
        yield
    finally:
        network.remember_empty(None)


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """The exporter reports its own use of deprecated parts of PyTorch and of onnxscript."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
