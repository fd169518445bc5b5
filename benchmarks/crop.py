"""How well the hand is found: share of annotated hands inside the crop, and the crop's size.

The boxes of ``annotations/hand-keypoints.csv`` measure; nothing that ships is trained on them.
Settings were chosen on even ids, so that odd ids tell what to expect of other radiographs.

    python benchmarks/crop.py [--data ../shared/data] [--level-tone] [--montage FILE.png]
"""

import argparse
import csv
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))

from boneage.radiographs.crop import CropResult, crop
from boneage.radiographs.intensity import normalise

TILE_PX = 154


@dataclass(frozen=True)
class Measured:
    """One annotated radiograph: box (left, top, right, bottom) in pixels of the copy."""

    id: int
    pixels: Any
    box: tuple[float, float, float, float]
    found: CropResult
    coverage: float
    ratio: float
    milliseconds: float


def measure(row: dict[str, str], images: Path, level_tone: bool) -> Measured:
    pixels = cv2.imread(str(images / f"{row['id']}.png"), cv2.IMREAD_GRAYSCALE)
    height, width = pixels.shape
    across, down = width / float(row["image_width"]), height / float(row["image_height"])
    left, top = float(row["box_x"]) * across, float(row["box_y"]) * down
    right, bottom = left + float(row["box_width"]) * across, top + float(row["box_height"]) * down
    box = max(left, 0.0), max(top, 0.0), min(right, width), min(bottom, height)
    start = time.process_time()
    found = crop(normalise(pixels).image, level_tone=level_tone)
    spent = (time.process_time() - start) * 1000
    area = (box[2] - box[0]) * (box[3] - box[1])
    b = found.box
    inside_x = max(0.0, min(box[2], b.left_px + b.width_px) - max(box[0], b.left_px))
    inside_y = max(0.0, min(box[3], b.top_px + b.height_px) - max(box[1], b.top_px))
    coverage, ratio = inside_x * inside_y / area, b.width_px * b.height_px / area
    return Measured(int(row["id"]), pixels, box, found, coverage, ratio, spent)


def print_table(results: list[Measured]) -> None:
    print("ids   count  >=97% inside  median ratio  p5 coverage  fallbacks  CPU ms/image")
    for name, remainder in (("even", 0), ("odd", 1), ("all", None)):
        some = [m for m in results if remainder is None or m.id % 2 == remainder]
        coverage = np.array([m.coverage for m in some])
        print(
            f"{name:5} {len(some):5}  {np.mean(coverage >= 0.97):11.1%}  "
            f"{np.median([m.ratio for m in some]):12.2f}  {np.percentile(coverage, 5):11.3f}  "
            f"{sum(m.found.fallback for m in some):9}  "
            f"{np.mean([m.milliseconds for m in some]):8.1f}"
        )


def tile(m: Measured) -> Any:
    scale = (TILE_PX - 4) / max(m.pixels.shape)
    picture = cv2.resize(m.pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    canvas = np.full((TILE_PX, TILE_PX, 3), 60, np.uint8)
    canvas[: picture.shape[0], : picture.shape[1]] = picture[..., None]
    b = m.found.box
    red = (b.left_px, b.top_px, b.left_px + b.width_px, b.top_px + b.height_px)
    for corners, colour in ((m.box, (0, 255, 0)), (red, (0, 0, 255))):
        x0, y0, x1, y1 = (round(v * scale) for v in corners)
        cv2.rectangle(canvas, (x0, y0), (x1, y1), colour, 1)
    words = f"{m.id} {m.coverage:.2f} {m.ratio:.2f}"
    cv2.putText(canvas, words, (2, TILE_PX - 4), cv2.FONT_HERSHEY_SIMPLEX, 0.36, (0, 255, 255), 1)
    return canvas


def write_montage(path: Path, results: list[Measured], count: int, columns: int = 10) -> None:
    worst = sorted(results, key=lambda m: (min(m.coverage, 0.97), -m.ratio))[:count]
    tiles = [tile(m) for m in worst]
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % columns)
    rows = [np.hstack(tiles[i : i + columns]) for i in range(0, len(tiles), columns)]
    cv2.imwrite(str(path), np.vstack(rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--level-tone", action="store_true", help="look on a levelled tone")
    parser.add_argument("--montage", type=Path, help="write the worst ones to this PNG file")
    parser.add_argument("--worst", type=int, default=50, help="how many to draw")
    parser.add_argument("--ids", choices=("even", "odd", "all"), default="all", help="draw these")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    images = arguments.data / "rsna-100px" / "boneage-training-dataset"
    with (arguments.data / "annotations" / "hand-keypoints.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    results = [measure(row, images, arguments.level_tone) for row in rows]
    print_table(results)
    if arguments.montage:
        parts = {"even": (0,), "odd": (1,), "all": (0, 1)}[arguments.ids]
        drawn = [m for m in results if m.id % 2 in parts]
        write_montage(arguments.montage, drawn, arguments.worst)


if __name__ == "__main__":
    main()
