"""What the same radiographs give after they were turned, mirrored, inverted or spoilt.

    python benchmarks/stress.py --data ../shared/data [--model BUNDLE] [--count N]

Every radiograph of the validation part goes through the whole predictor as it is, and again after
each change. A change is harmless if the MAE moves by less than a month. The last column says how
far single answers move, which the MAE can hide.
"""

import argparse
import csv
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

SOURCE = Path(__file__).resolve().parent.parent / "src"
sys.path.insert(0, str(SOURCE))

from boneage import load  # noqa: E402
from boneage.evaluation.paired import paired_difference  # noqa: E402
from boneage.inference.prediction import Prediction, Query  # noqa: E402
from boneage.inference.predictor import Predictor  # noqa: E402
from boneage.radiographs.radiograph import Radiograph, Sex  # noqa: E402
from boneage.radiographs.readers import read_radiograph  # noqa: E402
from boneage.radiographs.turning import turn  # noqa: E402

Pixels = NDArray[np.uint8]
Change = Callable[[Pixels], NDArray[Any]]


def gamma(exponent: float) -> Change:
    return lambda pixels: np.round(255 * (pixels / 255.0) ** exponent).astype(np.uint8)


def brightness(share: float) -> Change:
    return lambda pixels: np.clip(np.round(pixels * (1 + share)), 0, 255).astype(np.uint8)


def offset(share: float) -> Change:
    return lambda pixels: np.clip(pixels.astype(int) + round(255 * share), 0, 255).astype(np.uint8)


def jpeg(quality: int) -> Change:
    def change(pixels: Pixels) -> Pixels:
        data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8)

    return change


def tilted(degrees: float) -> Change:
    return lambda pixels: turn(Radiograph(pixels), 0, degrees).pixels


CHANGES: dict[str, Change] = {
    "turned by 90": lambda pixels: np.rot90(pixels, 1).copy(),
    "turned by 180": lambda pixels: np.rot90(pixels, 2).copy(),
    "turned by 270": lambda pixels: np.rot90(pixels, 3).copy(),
    "tilted by +15": tilted(15),
    "tilted by -30": tilted(-30),
    "mirrored": lambda pixels: pixels[:, ::-1].copy(),
    "inverted polarity": lambda pixels: 255 - pixels,
    "gamma 0.5": gamma(0.5),
    "gamma 2": gamma(2.0),
    "JPEG quality 30": jpeg(30),
    "brightness -20 % (factor)": brightness(-0.2),
    "brightness +20 % (factor)": brightness(0.2),
    "brightness -20 % (offset)": offset(-0.2),
    "brightness +20 % (offset)": offset(0.2),
    "16 bit": lambda pixels: pixels.astype(np.uint16) * 257,
}


def answers(
    predictor: Predictor, radiographs: list[tuple[Radiograph, Sex]], change: Change | None
) -> Iterator[float]:
    """Bone age of each in months; NaN where it is refused."""
    queries = (
        Query(item if change is None else Radiograph(change(item.pixels), source=item.source), sex)
        for item, sex in radiographs
    )
    for result in predictor.predict_many(queries):
        yield result.bone_age_months if isinstance(result, Prediction) else float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the folder of shared data")
    parser.add_argument("--model", help="bundle; by default the one that comes with boneage")
    parser.add_argument("--count", type=int, help="so many radiographs instead of all")
    parser.add_argument("--threads", type=int, help="threads for predicting; by default all cores")
    args = parser.parse_args()
    folder = args.data / "rsna-100px"
    with (folder / "split.csv").open(newline="") as file:
        chosen = {row["id"] for row in csv.DictReader(file) if row["split"] == "val"}
    with (folder / "boneage-training-dataset.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["id"] in chosen][: args.count]
    labels = np.array([float(row["boneage"]) for row in rows])
    radiographs = [
        (
            read_radiograph(folder / "boneage-training-dataset" / f"{row['id']}.png"),
            Sex.MALE if row["male"].lower() == "true" else Sex.FEMALE,
        )
        for row in rows
    ]
    predictor = load(args.model, threads=args.threads)
    plain = np.fromiter(answers(predictor, radiographs, None), float)
    taken = np.isfinite(plain)
    mae = np.abs(plain - labels)[taken].mean()
    print(f"{len(rows)} validation radiographs, model {predictor.card.name}")
    print(f"as they are: MAE {mae:.2f} months, {int((~taken).sum())} refused\n")
    print("| change | MAE | difference (95 %) | refused | mean move of single answers |")
    print("| --- | --- | --- | --- | --- |")
    for name, change in CHANGES.items():
        changed = np.fromiter(answers(predictor, radiographs, change), float)
        both = taken & np.isfinite(changed)
        paired = paired_difference(labels[both], changed[both], plain[both])
        low, high = paired.difference_ci95_months or (float("nan"), float("nan"))
        print(
            f"| {name} | {np.abs(changed - labels)[both].mean():.2f} "
            f"| {paired.difference_months:+.2f} ({low:+.2f} to {high:+.2f}) "
            f"| {int((~np.isfinite(changed)).sum())} "
            f"| {np.abs(changed - plain)[both].mean():.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
