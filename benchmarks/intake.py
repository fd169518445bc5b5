"""How the intake gate does: real hands refused, non-hands let through, wrong quarter turns.

    python benchmarks/intake.py --data ../shared/data [--pictures NAME=DIR...] [--fonts DIR]
        [--volume Cranium.inv3] [--model FILE.onnx] [--montage DIR] [--count 60]

Needs Pillow besides boneage. Hands are the ids that ``split.csv`` calls ``val``. Non-hands are made
by other code than the training's, and pictures come from other packages: the figures in
``docs/explanation/intake.md`` used, unpacked, Debian's opencv-doc (examples/data and html),
lomiri-wallpapers-16.04 and -20.04, the DICOM test images of PyPI's pydicom as PNG (``--pictures``),
fonts-lato and fonts-linuxlibertine (``--fonts``) and invesalius-examples (``--volume``, a CT of a
skull that is projected here).
"""

import argparse
import csv
import math
import plistlib
import sys
import tarfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))

import intake_made as made
import intake_wrecks as wrecks
from boneage.inference.intake import Intake, IntakeResult
from boneage.radiographs.phantom import draw_phantom
from boneage.radiographs.radiograph import Radiograph, Sex
from boneage.radiographs.readers import read_radiograph
from boneage.radiographs.turning import turn

SUFFIXES = {".png", ".jpg", ".jpeg", ".gif", ".webp"}
Named = tuple[str, Any]


def off_by(result: IntakeResult, angle_deg: float) -> float:
    """Degrees between where the gate has the fingers pointing and where they point."""
    found = result.tilt_deg - 90 * result.quarter_turns
    return abs((found - angle_deg + 180) % 360 - 180)


def hands_table(gate: Intake, hands: list[Radiograph], montage: Path | None) -> None:
    rng = np.random.default_rng(11)
    print("\nreal hands                   refused   wrong quarter   median error   no direction")
    poses: dict[str, list[tuple[Radiograph, float]]] = {
        f"turned by {90 * k}": [(turn(hand, k), 90.0 * k) for hand in hands] for k in range(4)
    }
    poses["mirrored"] = [(flipped(hand), 0.0) for hand in hands]
    poses["inverted"] = [(Radiograph(255 - hand.pixels), 0.0) for hand in hands]
    angled = []
    for hand in hands:
        quarter, tilt = int(rng.integers(4)), float(rng.uniform(-45, 45))
        angled.append((turn(hand, quarter, tilt), 90.0 * quarter - tilt))
    poses["turned by any angle"] = angled
    for name, pose in poses.items():
        results = [gate(radiograph) for radiograph, _ in pose]
        errors = [off_by(r, angle) for r, (_, angle) in zip(results, pose, strict=True)]
        wrong = sum(e > 45 for e in errors)
        refused = [(r, p[0]) for r, p in zip(results, pose, strict=True) if not r.accepted]
        unsure = sum(r.certainty < gate.card["thresholds"]["certainty"] for r in results)
        print(f"{name:26} {len(refused):4} of {len(hands)}  {wrong:6} ({wrong / len(hands):.2%})"
              f"  {np.median(errors):10.1f}  {unsure:10}")  # fmt: skip
        if montage:
            label = name.replace(" ", "-")
            draw(montage / f"refused-{label}.png", [
                (f"{hand.source} {r.kind} {r.hand_probability:.2f} {r.distance:.2f}", hand.pixels)
                for r, hand in refused
            ])  # fmt: skip
            draw(montage / f"wrong-{label}.png", [
                (f"{p[0].source} {e:.0f} {r.certainty:.2f}", p[0].pixels)
                for r, p, e in zip(results, pose, errors, strict=True) if e > 30
            ])  # fmt: skip


def annotated_table(gate: Intake, data: Path) -> None:
    """The true axis runs from the wrist to the first joint of the middle finger."""
    with (data / "annotations" / "hand-keypoints.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    errors, refused = [], 0
    for row in rows:
        hand = read(data, row["id"])
        result = gate(hand)
        right = float(row["middle_finger1_x"]) - float(row["wrist_x"])
        up = float(row["wrist_y"]) - float(row["middle_finger1_y"])
        errors.append(off_by(result, math.degrees(math.atan2(-right, up))))
        refused += not result.accepted
    print(f"\nannotated axis, {len(rows)} radiographs: {refused} refused, error median "
          f"{np.median(errors):.1f}, 95 % below {np.percentile(errors, 95):.1f}, largest "
          f"{max(errors):.0f} degrees")  # fmt: skip


def other_hands_table(gate: Intake, data: Path) -> None:
    print("\nfull-size original    as it is        100 px copy     angles differ by")
    for path in sorted((data / "rsna-originals" / "images").iterdir()):
        full, small = read_radiograph(path), read(data, path.stem)
        one, two = gate(full), gate(small)
        angle = two.tilt_deg - 90 * two.quarter_turns
        print(f"{path.stem:20}  {one.kind:4} {one.hand_probability:.3f} {one.distance:.2f}  "
              f"{two.kind:4} {two.hand_probability:.3f} {two.distance:.2f}  "
              f"{off_by(one, angle):.1f}")  # fmt: skip
    rng = np.random.default_rng(7)
    refused = wrong = 0
    for number in range(300):
        sex = (Sex.FEMALE, Sex.MALE)[number % 2]
        months = float(rng.uniform(0, 228))
        phantom = draw_phantom(months, sex, rng=rng, height_px=int(rng.integers(128, 600)))
        quarter = int(rng.integers(4))
        result = gate(turn(phantom, quarter))
        refused += not result.accepted
        wrong += off_by(result, 90 * quarter) > 45
    print(f"\n300 phantoms, turned: {refused} refused, {wrong} with a wrong quarter turn")


def non_hands(arguments: argparse.Namespace, hands: list[Radiograph]) -> Iterator[Named]:
    rng = np.random.default_rng(13)
    count = arguments.count
    for name, folder in (item.split("=", 1) for item in arguments.pictures):
        yield from ((name, picture) for picture in pictures(Path(folder), 2 * count, rng))
    if arguments.fonts:
        fonts = sorted(p for p in arguments.fonts.rglob("*") if p.suffix in (".ttf", ".otf"))
        yield from (("document", made.document(rng, fonts)) for _ in range(count))
    if arguments.volume:
        yield from (("skull CT, projected", picture) for picture in projections(arguments.volume))
    for draw_body in made.BODIES:
        yield from ((f"drawn {draw_body.__name__}", draw_body(rng)) for _ in range(count // 2))
    for draw_texture in made.TEXTURES:
        yield from (("texture or noise", draw_texture(rng)) for _ in range(count // 3))
    yield from (("blank", made.blank(rng)) for _ in range(count))
    chosen = [hands[i].pixels for i in rng.permutation(len(hands))]
    for number in range(count):
        pair = chosen[number], chosen[-1 - number]
        yield "two hands", wrecks.side_by_side(*pair, rng)
        side = wrecks.SIDES[number % 4]
        lost = float(rng.uniform(0.55 if side == "bottom" else 0.45, 0.8))
        yield f"cut off at the {side}", wrecks.remains(pair[0], side, lost, shutter=number % 8 > 5)
        for name, make in wrecks.ONE_HAND.items():
            yield name, make(pair[1], rng)


def non_hands_table(gate: Intake, items: Iterable[Named], montage: Path | None) -> None:
    results = [(name, picture, gate(Radiograph(picture))) for name, picture in items]
    print("\nnon-hands                    let through   reasons given")
    for name in dict.fromkeys(name for name, _, _ in results):
        some = [r for n, _, r in results if n == name]
        kinds = Counter(r.kind for r in some if not r.accepted)
        words = ", ".join(f"{kind} {n}" for kind, n in kinds.most_common())
        print(f"{name:26} {sum(r.accepted for r in some):4} of {len(some):4}   {words}")
    let_through = sum(r.accepted for _, _, r in results)
    by_distance = sum(r.kind == "hand" and not r.accepted for _, _, r in results)
    print(f"{'all':26} {let_through:4} of {len(results):4}   ({by_distance} by the distance alone)")
    if montage:
        worst = sorted(results, key=lambda item: (-item[2].accepted, -item[2].hand_probability))
        draw(montage / "hardest.png", [
            (f"{name[:9]} {r.hand_probability:.2f} {r.distance:.2f}" + "!" * r.accepted, picture)
            for name, picture, r in worst[:60]
        ])  # fmt: skip


def cut_curve(gate: Intake, hands: list[Radiograph]) -> None:
    print("\nshare lost    " + "".join(f"{lost:7.0%}" for lost in np.arange(0, 0.75, 0.1)))
    for side in wrecks.SIDES:
        shares = []
        for lost in np.arange(0, 0.75, 0.1):
            cut = [wrecks.remains(h.pixels, side, lost) for h in hands[:150]]
            shares.append(np.mean([not gate(Radiograph(picture)).accepted for picture in cut]))
        print(f"refused, {side:6}" + "".join(f"{share:6.0%} " for share in shares))


def pictures(folder: Path, most: int, rng: np.random.Generator) -> Iterator[Any]:
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    for index in rng.permutation(len(paths))[:most]:
        picture = cv2.imread(str(paths[index]), cv2.IMREAD_GRAYSCALE)
        if picture is not None and min(picture.shape) >= 48:
            yield picture


def projections(path: Path) -> Iterator[Any]:
    """A skull seen from all around, and slices of it."""
    with tarfile.open(path) as archive:
        files = {Path(m.name).name: archive.extractfile(m) for m in archive if m.isfile()}
        shape = plistlib.loads(files["main.plist"].read())["matrix"]["shape"]  # type: ignore[union-attr]
        volume = np.frombuffer(files["matrix.dat"].read(), np.int16).reshape(shape)  # type: ignore[union-attr]
    dense = np.clip(volume.astype(np.float32) + 1000, 0, 2500)[::2, ::2, ::2]
    middle = (dense.shape[2] / 2, dense.shape[1] / 2)
    for degrees in range(0, 180, 15):
        matrix = cv2.getRotationMatrix2D(middle, degrees, 1)
        turned = [cv2.warpAffine(plane, matrix, plane.shape[::-1]) for plane in dense]
        yield made.eight_bits(np.sum(turned, axis=1)[::-1])
    for axis in range(3):
        for share in (0.3, 0.5, 0.7):
            yield made.eight_bits(np.take(dense, int(share * dense.shape[axis]), axis))


def flipped(hand: Radiograph) -> Radiograph:
    return Radiograph(np.ascontiguousarray(hand.pixels[:, ::-1]), source=hand.source)


def read(data: Path, name: str) -> Radiograph:
    return read_radiograph(data / "rsna-100px" / "boneage-training-dataset" / f"{name}.png")


def draw(path: Path, items: list[Named], columns: int = 10, tile_px: int = 150) -> None:
    if not items:
        return
    tiles = []
    for words, pixels in items[:60]:
        scale = (tile_px - 18) / max(pixels.shape)
        size = [max(1, round(n * scale)) for n in pixels.shape[::-1]]
        tile = np.full((tile_px, tile_px), 60, np.uint8)
        tile[: size[1], : size[0]] = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        cv2.putText(tile, words, (2, tile_px - 4), cv2.FONT_HERSHEY_SIMPLEX, 0.36, 255, 1)
        tiles.append(tile)
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % columns)
    rows = [np.hstack(tiles[i : i + columns]) for i in range(0, len(tiles), columns)]
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.vstack(rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--pictures", nargs="*", default=[], help="NAME=DIR of images")
    parser.add_argument("--fonts", type=Path)
    parser.add_argument("--volume", type=Path)
    parser.add_argument("--model", type=Path, help="another ONNX file with its card beside it")
    parser.add_argument("--montage", type=Path, help="draw refused hands and hard non-hands here")
    parser.add_argument("--count", type=int, default=60, help="of most kinds of non-hands")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    gate = Intake.load(arguments.model)
    with (arguments.data / "rsna-100px" / "split.csv").open(newline="") as file:
        ids = [row["id"] for row in csv.DictReader(file) if row["split"] == "val"]
    hands = [read(arguments.data, name) for name in ids]
    start = time.process_time()
    for hand in hands[:200]:
        gate(hand)
    print(f"{(time.process_time() - start) * 5:.1f} ms of processor time a radiograph")
    hands_table(gate, hands, arguments.montage)
    annotated_table(gate, arguments.data)
    other_hands_table(gate, arguments.data)
    non_hands_table(gate, non_hands(arguments, hands), arguments.montage)
    cut_curve(gate, hands)


if __name__ == "__main__":
    main()
