"""A real bundle that takes no training: months = 400 * mean of the image + 10 if male.

Where the graph is asked to expect an error, too, it expects 2 months, and 1 more if male. Where it
is asked for a heat map, each of 8 x 8 cells adds its share of those 400 * mean.
"""

from functools import cache
from pathlib import Path

import cv2
import numpy as np
import onnx
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper

from boneage.inference.bundle import write_bundle
from boneage.inference.card import Card
from boneage.inference.intervals import Interval
from boneage.radiographs.phantom import draw_phantom
from boneage.radiographs.preparation import PREPARATION_VERSION, PreparationSettings
from boneage.radiographs.radiograph import Sex

SIZE_PX = 64
CELLS = 8
MONTHS_OF_WHITE = 400.0
MONTHS_OF_MALE = 10.0
HALF_WIDTH_MONTHS = 12.5
INTERVAL = Interval.constant(0.9, HALF_WIDTH_MONTHS, "fixed by hand")
EXPECTED_OF_FEMALE, EXPECTED_OF_MALE = 2.0, 3.0
SCALED_WIDTHS = ((0.5, 1.0), (0.8, 2.5), (0.9, 4.0), (0.95, 6.0))
SCALED = Interval(0.9, SCALED_WIDTHS, True, "fixed by hand")


@st.composite
def _intervals(draw: st.DrawFn) -> Interval:
    levels = draw(st.lists(st.floats(0.01, 0.99), min_size=1, max_size=8, unique=True))
    count = len(levels)
    widths = draw(st.lists(st.floats(0.001, 100), min_size=count, max_size=count))
    return Interval(
        level=draw(st.floats(min(levels), max(levels))),
        widths=tuple(zip(sorted(levels), sorted(widths), strict=True)),
        scaled=draw(st.booleans()),
        method=draw(st.text(st.characters(exclude_categories=["Cs"])).filter(str.strip)),
    )


intervals = _intervals()
"""Any interval that a card can hold, for Hypothesis."""


def tiny_onnx(
    white: float = MONTHS_OF_WHITE,
    *,
    size_px: int = SIZE_PX,
    image_name: str = "image",
    output_name: str = "bone_age_months",
    channels: int = 1,
    expects_error: bool = False,
    error_of_male: float = EXPECTED_OF_MALE,
    heat_map: bool = False,
) -> bytes:
    """The graph; ``white`` is what a white image is worth in months."""
    floats = TensorProto.FLOAT
    shape = ["n", channels, size_px, size_px]
    nodes = [
        helper.make_node("ReduceMean", [image_name], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Mul", ["mean", "white"], ["grey"]),
        helper.make_node("Mul", ["sex", "male"], ["more"]),
        helper.make_node("Add", ["grey", "more"], [output_name]),
    ]
    outputs = [helper.make_tensor_value_info(output_name, floats, ["n"])]
    numbers = {"white": white, "male": MONTHS_OF_MALE}
    if expects_error:
        nodes += [
            helper.make_node("Mul", ["sex", "error_of_male"], ["boys"]),
            helper.make_node("Add", ["boys", "error"], ["expected_error_months"]),
        ]
        outputs.append(helper.make_tensor_value_info("expected_error_months", floats, ["n"]))
        numbers |= {
            "error": EXPECTED_OF_FEMALE,
            "error_of_male": error_of_male - EXPECTED_OF_FEMALE,
        }
    if heat_map:
        sides = [size_px // CELLS] * 2
        nodes += [
            helper.make_node(
                "AveragePool", [image_name], ["pooled"], kernel_shape=sides, strides=sides
            ),
            helper.make_node("ReduceMean", ["pooled"], ["cells"], axes=[1], keepdims=0),
            helper.make_node("Mul", ["cells", "of_a_cell"], ["heat_map"]),
        ]
        outputs.append(helper.make_tensor_value_info("heat_map", floats, ["n", CELLS, CELLS]))
        numbers["of_a_cell"] = white / CELLS**2
    graph = helper.make_graph(
        nodes,
        "tiny",
        [
            helper.make_tensor_value_info(image_name, floats, shape),
            helper.make_tensor_value_info("sex", floats, ["n"]),
        ],
        outputs,
        [helper.make_tensor(name, floats, [], [value]) for name, value in numbers.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def tiny_card(**changes: object) -> Card:
    """A card that fits the graph."""
    fields: dict[str, object] = {
        "name": "tiny",
        "preparation": PreparationSettings(size_px=SIZE_PX).to_dict(),
        "preparation_version": PREPARATION_VERSION,
        "size_px": SIZE_PX,
        "interval": INTERVAL,
        "trained_on": {"data": "nothing"},
        "licence": "Apache-2.0",
        "created": "2026-01-01T00:00:00+00:00",  # so that equal cards make equal files
    }
    return Card(**{**fields, **changes})  # type: ignore[arg-type]


def tiny_bundle(path: Path, *, onnx_bytes: bytes | None = None, **changes: object) -> Path:
    """Write the bundle; ``changes`` are other fields of its card."""
    return write_bundle(path, onnx=onnx_bytes or tiny_onnx(), card=tiny_card(**changes))


def scaled_bundle(path: Path, **changes: object) -> Path:
    """A bundle whose interval is scaled by the error that its graph expects."""
    graph = tiny_onnx(expects_error=True)
    return tiny_bundle(path, onnx_bytes=graph, **{"interval": SCALED, **changes})


def explaining_bundle(path: Path, **changes: object) -> Path:
    """A bundle whose graph gives heat maps."""
    return tiny_bundle(path, onnx_bytes=tiny_onnx(heat_map=True), **changes)


@cache
def _phantom(seed: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    sex = Sex.MALE if seed % 2 else Sex.FEMALE
    return np.asarray(draw_phantom(float(rng.uniform(60, 200)), sex, rng=rng, height_px=320).pixels)


def hand_pixels(seed: int = 0, height: int = 240, width: int = 180) -> NDArray[np.uint8]:
    """A drawn hand that the intake gate takes for one."""
    drawn = _phantom(seed)
    if drawn.dtype != np.uint8:
        drawn = (drawn // 257).astype(np.uint8)
    return np.asarray(cv2.resize(drawn, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def write_hand(path: Path, seed: int = 0) -> Path:
    """Write a hand as an image file, whatever the characters of the name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, hand_pixels(seed))[1].tobytes())
    return path
