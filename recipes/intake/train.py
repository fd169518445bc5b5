"""Train the intake network and write ``intake.onnx`` and its card ``intake.json``.

    python recipes/intake/train.py --data ../shared/data --out DIR \
        --pictures DIR... [--volumes FILE.nii.gz...]

Needs ``boneage[train]``. Real radiographs come from ``--data``: only ids that ``split.csv`` has as
``train``. Pictures that show no hand radiograph come from packages; the network that ships used

- Debian: gnome-backgrounds, mate-backgrounds, plasma-workspace-wallpapers, ukui-wallpapers,
  tuxpaint-stamps-default (``--pictures``, unpacked with ``dpkg -x``), mricron-data (its
  ch2.nii.gz, ch2bet.nii.gz and inia19-t1-brain.nii.gz as ``--volumes``);
- PyPI: the images in scikit-image, scikit-learn and matplotlib (``--pictures``, unpacked wheels).

Everything else (other parts of the body, text, plots, noise, cut or paired hands) is made here.
One core needs about a quarter of an hour.
"""

import argparse
import datetime
import logging
import random
import warnings
from pathlib import Path

import cv2
import numpy as np
import onnx
import torch
from fitting import Plan, fit_distance, judge, set_thresholds, train
from intake_network import IntakeNetwork
from pool import draw_hands, read_hands, read_pictures, read_volumes
from samples import CLASSES, Pools

from boneage import __version__
from boneage.files import atomic_path, write_json
from boneage.inference.intake import FORMAT_VERSION

HELD_OUT = 1200
PHANTOMS = 600


def to_onnx(network: IntakeNetwork, size_px: int) -> bytes:
    """The graph: ``image`` (N, 1, S, S) to ``probabilities``, ``direction`` and ``distance``."""
    network = network.float().eval().to(memory_format=torch.contiguous_format)
    batch = torch.export.Dim("batch", min=1, max=65_536)
    for name in ("torch.onnx", "onnxscript", "onnx_ir"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            network,
            (torch.zeros(2, 1, size_px, size_px),),
            input_names=["image"],
            output_names=["probabilities", "direction", "distance"],
            dynamic_shapes=({0: batch},),
            opset_version=20,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    # Names of this machine's files would come along otherwise.
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    del model.graph.metadata_props[:]
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def write(folder: Path, network: IntakeNetwork, plan: Plan, pools: Pools, held_out: int,
          thresholds: dict[str, float]) -> None:  # fmt: skip
    """Write the graph and its card; the figures are entered from ``benchmarks/intake.py``."""
    with atomic_path(folder / "intake.onnx") as path:
        path.write_bytes(to_onnx(network, plan.size_px))
    card = {
        "format_version": FORMAT_VERSION,
        "name": "intake",
        "boneage_version": __version__,
        "created": datetime.date.today().isoformat(),
        "input": {"size_px": plan.size_px},
        "classes": list(CLASSES),
        "thresholds": thresholds,
        "trained_on": (
            f"{len(pools.hands)} radiographs of the RSNA Pediatric Bone Age Challenge 2017 "
            f"(100 px copies, ids of the training split), {len(pools.phantoms)} synthetic ones, "
            f"{len(pools.pictures)} pictures and {len(pools.medical)} MRI images from open-source "
            "packages, and non-hands made by recipes/intake"
        ),
        "calibrated_on": f"{held_out} further radiographs of the same split, in 4 positions each",
        "figures": {},
        "terms": "non-commercial research",
        "intended_use": "refusing what is not one hand on a radiograph, and turning hands upright",
        "limits": "no radiographs of other parts of the body were at hand; see "
        "docs/explanation/intake.md",
    }
    write_json(folder / "intake.json", card)


def main() -> None:
    """Read, train, set thresholds, write."""
    parser = argparse.ArgumentParser(description="Train the intake network.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pictures", type=Path, nargs="*", default=[])
    parser.add_argument("--volumes", type=Path, nargs="*", default=[])
    parser.add_argument("--steps", type=int, default=Plan.steps)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(arguments.threads)
    plan = Plan(steps=arguments.steps)
    hands, _ = read_hands(arguments.data, split="train")
    random.Random(plan.seed).shuffle(hands)
    held_out, hands = hands[:HELD_OUT], hands[HELD_OUT:]
    pools = Pools(
        hands,
        draw_hands(PHANTOMS, np.random.default_rng(plan.seed + 2)),
        read_pictures(arguments.pictures),
        read_volumes(arguments.volumes),
    )
    network = train(pools, plan)
    fit_distance(network, pools, plan)
    thresholds = set_thresholds(judge(network, held_out, plan))
    write(arguments.out, network, plan, pools, len(held_out), thresholds)
    print(thresholds)


if __name__ == "__main__":
    main()
