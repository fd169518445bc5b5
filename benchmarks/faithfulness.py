"""Whether heat maps show what decides: deletion, insertion, sign, other weights, bones.

    python benchmarks/faithfulness.py --data ../shared/data [--model BUNDLE] [--limit N]
        [--methods heat,centred,random,centre,brightness] [--fill blur|black]

Deletion covers the parts of a radiograph that a map puts first, little by little, and looks how far
the bone age moves: far and early if the map is right. Insertion starts from a covered radiograph
and uncovers them: the bone age comes back early. Areas are means over the steps, in months. Each
method is compared with `heat` on the same radiographs (validation part). `centred` is the heat map
less its mean. Random maps and those that put the middle first know nothing of the network; those
that put bright parts first know where the hand is.

The second part permutes weights, from the head down: a map that shows what was learned changes. The
third measures the heat inside the annotated ossification regions.

Where a model pulls its answers to the standards of readers, the answer before is meant: that is
what its maps add up to.
"""

import argparse
import csv
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from boneage.inference.runtime import onnxruntime

SOURCE = Path(__file__).resolve().parent.parent / "src"
sys.path.insert(0, str(SOURCE))

from boneage.errors import RadiographError  # noqa: E402
from boneage.evaluation.bootstrap import percentile_intervals, resample  # noqa: E402
from boneage.evaluation.paired import paired_difference  # noqa: E402
from boneage.inference.bundle import Bundle  # noqa: E402
from boneage.inference.catalogue import default_model  # noqa: E402
from boneage.inference.heatmap import HeatMap  # noqa: E402
from boneage.inference.preparing import ModelImage, ModelPreparation  # noqa: E402
from boneage.inference.session import Network  # noqa: E402
from boneage.radiographs.radiograph import Radiograph  # noqa: E402
from boneage.radiographs.readers import read_radiograph  # noqa: E402

Array = NDArray[np.float32]

METHODS = ("heat", "centred", "random", "centre", "brightness")
SHARES = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7)
SIGN_SHARE = 0.1
CASCADE = {
    "the last layer": ("answer",),
    "both layers of the head": ("answer", "hidden.", "sex_embedding"),
    "all weights": ("",),
}


def labelled(folder: Path) -> dict[str, float]:
    """1 for male by id."""
    with (folder / "boneage-training-dataset.csv").open(newline="") as file:
        return {row["id"]: float(row["male"].lower() == "true") for row in csv.DictReader(file)}


def validation_ids(folder: Path) -> list[str]:
    with (folder / "split.csv").open(newline="") as file:
        return [row["id"] for row in csv.DictReader(file) if row["split"] == "val"]


def taken_in(
    folder: Path, ids: list[str], prepare: ModelPreparation
) -> Iterator[tuple[str, Radiograph, ModelImage]]:
    for name in ids:
        radiograph = read_radiograph(folder / "boneage-training-dataset" / f"{name}.png")
        try:
            yield name, radiograph, prepare(radiograph)
        except RadiographError as error:
            print(f"left out: {error}", file=sys.stderr)


def scores(method: str, values: Array, image: Array, rng: np.random.Generator) -> Array:
    """What a method puts first: a number for each cell, the same grid for all."""
    cells = len(values)
    if method == "heat":
        return np.abs(values)
    if method == "centred":
        return np.abs(values - values.mean())
    if method == "random":
        return rng.random(values.shape, np.float32)
    if method == "centre":
        at = np.arange(cells, dtype=np.float32) - (cells - 1) / 2
        return -np.hypot(at[:, np.newaxis], at) + rng.random(values.shape, np.float32) * 1e-3
    return np.asarray(cv2.resize(image, (cells, cells), interpolation=cv2.INTER_AREA), np.float32)


def first_cells(score: Array, share: float) -> NDArray[np.bool_]:
    count = max(1, round(share * score.size))
    mask = np.zeros(score.size, bool)
    mask[np.argsort(-score, axis=None, kind="stable")[:count]] = True
    return mask.reshape(score.shape)


def covered(image: Array, fill: Array, cells: NDArray[np.bool_]) -> Array:
    """The image with some cells of the grid replaced."""
    side = len(image)
    mask = cv2.resize(cells.astype(np.uint8), (side, side), interpolation=cv2.INTER_NEAREST)
    return np.where(mask > 0, fill, image)


def fill_of(image: Array, fill: str) -> Array:
    if fill == "black":
        return np.zeros_like(image)
    return np.asarray(cv2.GaussianBlur(image, (0, 0), len(image) / 16), np.float32)


def months_of(network: Network, images: list[Array], sex: float) -> NDArray[np.float64]:
    batch = np.stack(images)[:, np.newaxis]
    return network(batch, np.full(len(images), sex, np.float32)).months.astype(np.float64)


def with_interval(values: NDArray[np.float64], unit: str = "") -> str:
    figures = resample(
        values, lambda drawn: drawn.mean(axis=1, keepdims=True), bootstrap=2000, seed=0
    )
    low, high = percentile_intervals(figures)[0]
    return f"{values.mean():.2f} ({low:.2f} to {high:.2f}){unit}"


def curves(
    network: Network, cases: list[tuple[ModelImage, float]], methods: list[str], fill: str
) -> None:
    """Deletion, insertion and sign."""
    rng = np.random.default_rng(0)
    areas: dict[tuple[str, str], list[float]] = defaultdict(list)
    moves: dict[str, list[float]] = defaultdict(list)
    for prepared, sex in cases:
        image = prepared.image
        answer = network(image[np.newaxis, np.newaxis], np.array([sex], np.float32))
        assert answer.heat_maps is not None
        values, months = answer.heat_maps[0], float(answer.months[0])
        other = fill_of(image, fill)
        for method in methods:
            score = scores(method, values, image, rng)
            masks = [first_cells(score, share) for share in SHARES]
            without = months_of(network, [covered(image, other, mask) for mask in masks], sex)
            alone = months_of(network, [covered(other, image, mask) for mask in masks], sex)
            areas[method, "deletion"].append(float(np.abs(without - months).mean()))
            areas[method, "insertion"].append(float(np.abs(alone - months).mean()))
        for name, signed in (("older", values), ("younger", -values)):
            hidden = covered(image, other, first_cells(signed, SIGN_SHARE))
            moves[name].append(float(months_of(network, [hidden], sex)[0] - months))
    print("| method | deletion: higher is better | heat minus it | insertion: lower is better "
          "| heat minus it |\n| --- | --- | --- | --- | --- |")  # fmt: skip
    for method in methods:
        cells = [method]
        for curve in ("deletion", "insertion"):
            mine, heat = np.array(areas[method, curve]), np.array(areas["heat", curve])
            paired = paired_difference(np.zeros(len(mine)), heat, mine)
            low, high = paired.difference_ci95_months or (float("nan"), float("nan"))
            difference = f"{paired.difference_months:+.2f} ({low:+.2f} to {high:+.2f})"
            cells += [f"{mine.mean():.2f}", "" if method == "heat" else difference]
        print("| " + " | ".join(cells) + " |")
    print(f"\nCovering the {SIGN_SHARE:.0%} of cells that make the child most")
    for name, moved in moves.items():
        print(f"- {name} moves the bone age by {with_interval(np.array(moved), ' months')}")


def unpulled(graph: bytes) -> bytes:
    """The graph with the answer before it was pulled to a standard in the place of the answer."""
    model = onnx.load_model_from_string(graph)
    names = {"bone_age_months": "pulled_months", "unpulled_months": "bone_age_months"}
    if names.keys() <= {value.name for value in model.graph.output}:
        for node in model.graph.node:
            node.input[:] = [names.get(name, name) for name in node.input]
            node.output[:] = [names.get(name, name) for name in node.output]
        for value in model.graph.output:
            value.name = names.get(value.name, value.name)
    return bytes(model.SerializeToString())


def permuted(graph: bytes, parts: tuple[str, ...], rng: np.random.Generator) -> bytes:
    """The graph with the weights of some layers in random order, their values kept."""
    model = onnx.load_model_from_string(graph)
    touched = 0
    for weight in model.graph.initializer:
        is_weight = weight.name.startswith("members.") and ".weight" in weight.name
        if is_weight and any(part in weight.name for part in parts):
            values = numpy_helper.to_array(weight)
            mixed = rng.permutation(values.reshape(-1)).reshape(values.shape)
            weight.CopyFrom(numpy_helper.from_array(mixed, weight.name))
            touched += 1
    if not touched:
        raise SystemExit(f"The graph has no weights named {' or '.join(parts)}.")
    renew_empty(model)
    return bytes(model.SerializeToString())


def renew_empty(model: onnx.ModelProto) -> None:
    """Compute the features of the empty image anew, where the graph keeps them as constants."""
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    # The layer that takes the constant takes the features of the input in another place.
    kept = {node.input[1]: node.input[0] for node in convolutions if ".empty" in node.input[0]}
    fresh = {
        kept[node.input[1]]: node.input[0]
        for node in convolutions
        if node.input[1] in kept and ".empty" not in node.input[0]
    }
    if not fresh:
        return  # it computes them from its weights each time it is loaded
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    probe.graph.output.extend(onnx.ValueInfoProto(name=name) for name in fresh.values())
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(probe.SerializeToString(), options)
    side = session.get_inputs()[0].shape[-1]
    black = {"image": np.zeros((1, 1, side, side), np.float32), "sex": np.zeros(1, np.float32)}
    found = session.run(list(fresh.values()), black)
    features = dict(zip(fresh, found, strict=True))
    for constant in model.graph.initializer:
        name = constant.name.removesuffix(".float16")
        if name in features:
            dtype = numpy_helper.to_array(constant).dtype
            values = np.asarray(features[name])[:1].astype(dtype)
            constant.CopyFrom(numpy_helper.from_array(values, constant.name))


def ranks(values: Array) -> NDArray[np.float64]:
    return np.argsort(np.argsort(values, axis=None)).astype(np.float64)


def randomisation(
    bundle: Bundle, network: Network, cases: list[tuple[ModelImage, float]], threads: int | None
) -> None:
    """Rank correlation of the maps with those of the same network with other weights."""
    images = np.stack([prepared.image for prepared, _ in cases])[:, np.newaxis]
    sexes = np.array([sex for _, sex in cases], np.float32)
    own = network(images, sexes).heat_maps
    assert own is not None
    print(
        "\n| weights permuted | rank correlation of the maps | of their sizes |"
        "\n| --- | --- | --- |"
    )
    for name, parts in CASCADE.items():
        graph = permuted(bundle.onnx_bytes, parts, np.random.default_rng(0))
        other = Network(Bundle(bundle.path, bundle.card, graph), threads=threads)
        found = other(images, sexes).heat_maps
        assert found is not None
        pairs = list(zip(own, found, strict=True))
        signed = [np.corrcoef(ranks(a), ranks(b))[0, 1] for a, b in pairs]
        sizes = [np.corrcoef(ranks(np.abs(a)), ranks(np.abs(b)))[0, 1] for a, b in pairs]
        print(f"| {name} | {with_interval(np.array(signed))} | {with_interval(np.array(sizes))} |")


def regions_in(path: Path) -> dict[str, list[tuple[float, float, float, float]]]:
    """Boxes of the ossification regions by id: left, top, right, bottom as shares of the image."""
    boxes = defaultdict(list)
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            width, height = float(row["image_width"]), float(row["image_height"])
            boxes[row["id"]].append(
                (
                    float(row["xmin"]) / width, float(row["ymin"]) / height,
                    float(row["xmax"]) / width, float(row["ymax"]) / height,
                )
            )  # fmt: skip
    return boxes


def in_regions(
    network: Network,
    cases: Iterator[tuple[str, Radiograph, ModelImage]],
    boxes: dict[str, list[tuple[float, float, float, float]]],
    male: dict[str, float],
) -> None:
    """Share of the heat inside the regions, of the prepared area, and of what is bright in it."""
    shares: dict[str, list[float]] = defaultdict(list)
    for name, radiograph, prepared in cases:
        height, width = radiograph.pixels.shape
        inside = np.zeros((height, width), bool)
        for left, top, right, bottom in boxes[name]:
            rows = slice(round(top * height), max(round(bottom * height), round(top * height) + 1))
            columns = slice(round(left * width), max(round(right * width), round(left * width) + 1))
            inside[rows, columns] = True
        answer = network(prepared.image[np.newaxis, np.newaxis], np.array([male[name]], np.float32))
        assert answer.heat_maps is not None
        heat = np.abs(HeatMap(answer.heat_maps[0], prepared.placement).on_radiograph())
        seen = HeatMap(np.ones((1, 1), np.float32), prepared.placement).on_radiograph() > 0
        bright = HeatMap(prepared.image, prepared.placement).on_radiograph()
        for what, weight in (("heat", heat), ("area", seen), ("brightness", bright)):
            shares[what].append(float(weight[inside].sum() / weight.sum()))
    found = {what: np.array(values) for what, values in shares.items()}
    print(f"\nOssification regions of {len(found['heat'])} annotated radiographs hold")
    for what, values in found.items():
        print(f"- {with_interval(100 * values, ' %')} of the {what}")
    for what in ("area", "brightness"):
        print(f"- heat over {what}: {with_interval(found['heat'] / found[what])}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the folder of shared data")
    parser.add_argument("--model", type=Path, help="bundle; by default the one that comes along")
    parser.add_argument("--limit", type=int, default=200, help="so many radiographs a part [200]")
    parser.add_argument("--methods", default=",".join(METHODS), help="maps to compare")
    parser.add_argument("--fill", choices=("blur", "black"), default="blur", help="what covers")
    parser.add_argument("--threads", type=int, help="threads; by default all cores")
    args = parser.parse_args()
    methods = ["heat", *(m for m in args.methods.split(",") if m != "heat")]
    if unknown := set(methods) - set(METHODS):
        parser.error(f"--methods: {', '.join(sorted(unknown))}; there are {', '.join(METHODS)}")
    folder = args.data / "rsna-100px"
    bundle = Bundle.open(args.model or default_model())
    bundle = Bundle(bundle.path, bundle.card, unpulled(bundle.onnx_bytes))
    network, prepare = Network(bundle, threads=args.threads), ModelPreparation(bundle)
    if not network.gives_heat_map:
        parser.error(f"{bundle.path} gives no heat map: export it with this release")
    male = labelled(folder)
    drawn = np.random.default_rng(0).permutation(validation_ids(folder))[: args.limit].tolist()
    cases = [(prepared, male[name]) for name, _, prepared in taken_in(folder, drawn, prepare)]
    print(f"{len(cases)} validation radiographs, model {bundle.card.name}, fill {args.fill}\n")
    curves(network, cases, methods, args.fill)
    randomisation(bundle, network, cases, args.threads)
    boxes = regions_in(args.data / "annotations" / "ossification-regions.csv")
    annotated = sorted(set(boxes) & set(male))[: args.limit]
    in_regions(network, taken_in(folder, annotated, prepare), boxes, male)


if __name__ == "__main__":
    main()
