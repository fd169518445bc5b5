"""ONNX Runtime, told before it is loaded to report to nobody.

Its releases from 1.29 on send events of every session, the model's name and hashes among them, to
its makers, and leave the identifier of the machine in the home folder and a file in the temporary
one, unless this variable is set (github.com/microsoft/onnxruntime/pull/27379). It is read when the
library is loaded, so everything here imports ``onnxruntime`` from this module.
"""

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime

__all__ = ["onnxruntime"]
