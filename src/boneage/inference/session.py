"""The network of a bundle as a function of arrays, run by ONNX Runtime."""

import os
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from boneage.errors import BundleError, SettingsError
from boneage.inference.bundle import MODEL_FILE, Bundle
from boneage.inference.runtime import onnxruntime

__all__ = ["Network", "NetworkAnswer", "available_cpus"]

_INPUTS = {"image": 4, "sex": 1}
_OUTPUT = "bone_age_months"
_EXPECTED_ERROR = "expected_error_months"
_HEAT_MAP = "heat_map"
_QUIET = 3  # ONNX Runtime's level of errors; warnings about nodes and devices help no user


def available_cpus() -> int:
    """Number of CPUs that this process may use, at least 1."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class NetworkAnswer(NamedTuple):
    """What a graph says of N images; see ``docs/reference/bundle.md``.

    Attributes:
        months: Bone ages in months as the graph gives them, shape (N,), float32.
        expected_errors_months: The absolute errors that it expects of them in months, shape (N,),
            float32, or None if it expects none.
        heat_maps: What each cell of an image adds to its bone age in months, shape (N, H, W),
            float32, or None if the graph does not say.
    """

    months: NDArray[np.float32]
    expected_errors_months: NDArray[np.float32] | None
    heat_maps: NDArray[np.float32] | None

    def each(self) -> Iterator[tuple[float, float | None, NDArray[np.float32] | None]]:
        """Bone age, expected error and heat map of one image after the other."""
        for row, months in enumerate(self.months.tolist()):
            errors, maps = self.expected_errors_months, self.heat_maps
            error = None if errors is None else float(errors[row])
            yield months, error, None if maps is None else maps[row]


class Network:
    """A loaded graph. Safe to call from several threads.

    Attributes:
        expects_error: Whether it also says how large an error it expects.
        gives_heat_map: Whether it also says what each cell of an image adds.
    """

    def __init__(self, bundle: Bundle, *, threads: int | None = None) -> None:
        """Load the graph of a bundle and check that it has the agreed inputs and outputs.

        Args:
            bundle: The opened bundle.
            threads: Threads that one call may use, 1 or more; None for every available CPU.

        Raises:
            BundleError: ONNX Runtime cannot load the graph, or its inputs or outputs are others.
            SettingsError: ``threads`` is below 1.
        """
        if threads is not None and threads < 1:
            raise SettingsError(f"threads must be 1 or more, not {threads}.")
        self._where = f"{bundle.path}: {MODEL_FILE}"
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or available_cpus()
        options.inter_op_num_threads = 1
        options.log_severity_level = _QUIET
        # Waiting threads would otherwise burn the cores that prepare the next radiographs.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(
                bundle.onnx_bytes, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its exceptions have no common base but Exception
            raise BundleError(f"{self._where} cannot be loaded: {_first_line(error)}") from error
        self._check_signature(bundle.card.size_px)
        outputs = {value.name for value in self._session.get_outputs()}
        self.expects_error = _EXPECTED_ERROR in outputs
        self.gives_heat_map = _HEAT_MAP in outputs

    def __call__(self, images: NDArray[np.float32], sexes: NDArray[np.float32]) -> NetworkAnswer:
        """Estimate bone ages.

        Args:
            images: Prepared images, shape (N, 1, S, S), float32 in 0..1.
            sexes: Shape (N,), float32, 1 for male and 0 for female.

        Returns:
            The bone ages, and what else the graph says.

        Raises:
            BundleError: The graph fails, or gives another shape.
        """
        names = [_OUTPUT]
        names += [_EXPECTED_ERROR] * self.expects_error
        names += [_HEAT_MAP] * self.gives_heat_map
        try:
            values: Any = self._session.run(names, {"image": images, "sex": sexes})
        except Exception as error:  # see above
            raise BundleError(f"{self._where} fails when it runs: {_first_line(error)}") from error
        arrays = {
            name: np.asarray(value, dtype=np.float32)
            for name, value in zip(names, values, strict=True)
        }
        for name, array in arrays.items():
            rank, wanted = (3, "a square map") if name == _HEAT_MAP else (1, "one number")
            square = rank == 1 or array.shape[-1] == array.shape[-2] > 0
            if array.ndim != rank or len(array) != len(images) or not square:
                raise BundleError(
                    f"{self._where} gives {name} of shape {array.shape} for {len(images)} images; "
                    f"it must give {wanted} for each."
                )
        return NetworkAnswer(arrays[_OUTPUT], arrays.get(_EXPECTED_ERROR), arrays.get(_HEAT_MAP))

    def _check_signature(self, size_px: int) -> None:
        inputs = {value.name: value for value in self._session.get_inputs()}
        outputs = {value.name: value for value in self._session.get_outputs()}
        if set(inputs) != set(_INPUTS) or _OUTPUT not in outputs:
            raise BundleError(
                f"{self._where} has the inputs {sorted(inputs)} and outputs {sorted(outputs)}; "
                f"it must have the inputs {sorted(_INPUTS)} and the output {_OUTPUT}."
            )
        for name, rank in _INPUTS.items():
            if inputs[name].type != "tensor(float)" or len(inputs[name].shape) != rank:
                raise BundleError(
                    f"{self._where}: the input {name} must be float32 with {rank} dimensions, "
                    f"not {inputs[name].type} of shape {inputs[name].shape}."
                )
        sides = [side for side in inputs["image"].shape[1:] if isinstance(side, int)]
        if any(side != wanted for side, wanted in zip(sides, (1, size_px, size_px), strict=False)):
            raise BundleError(
                f"{self._where} takes images of shape {inputs['image'].shape[1:]}, but its card "
                f"says 1 x {size_px} x {size_px}."
            )


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
