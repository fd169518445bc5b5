"""Preprocessing speed: full-size radiographs per second and core, here and in GNU Octave.

    python benchmarks/preparation_speed.py [--data ../shared/data] [--rounds 3]

Both sides normalise, crop, pad and resize the same decoded originals to 256 px on one thread,
taking turns in processes of their own. Octave (Debian: octave, octave-image) runs ``prepare.m``,
whose crop is the textbook one and does less than ours. One more row includes reading the PNGs,
another one takes the 100 px copies.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))

SIZE_PX = 256
COPIES = 200


def own_side(paths: list[Path], *, decode: bool) -> dict[str, float]:
    """Prepare the files once, after one that does not count."""
    from boneage.radiographs.preparation import Preparation, PreparationSettings
    from boneage.radiographs.readers import read_radiograph

    cv2.setNumThreads(1)
    prepare = Preparation(PreparationSettings(size_px=SIZE_PX))
    prepare(read_radiograph(paths[0]))
    radiographs: list[Any] = list(paths) if decode else [read_radiograph(path) for path in paths]
    start = time.perf_counter()
    for radiograph in radiographs:
        prepare(read_radiograph(radiograph) if decode else radiograph)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"rate": len(paths) / seconds, "peak_mib": peak}


def in_process(kind: str, folder: Path) -> dict[str, float]:
    """Our side in a fresh process."""
    done = subprocess.run(
        [sys.executable, __file__, "--own", kind, "--data", str(folder)],
        capture_output=True,
        text=True,
        check=True,
    )
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def octave(raw: Path, count: int) -> dict[str, float]:
    """Octave's side in a fresh process; its first round does not count."""
    script = Path(__file__).with_name("prepare.m")
    command = ["octave", "--no-gui", "--quiet", str(script), str(raw), str(SIZE_PX), "2"]
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            command, stdout=output, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise SystemExit(f"Octave failed: {' '.join(command)}")
        output.seek(0)
        seconds = float(output.read().splitlines()[-1].split()[2])
    return {"rate": count / seconds, "peak_mib": usage.ru_maxrss / 1024}


def write_raw(paths: list[Path], folder: Path) -> None:
    """Decoded pixels as files that Octave reads without a decoder."""
    lines = []
    for path in paths:
        pixels = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        if pixels is None:
            raise SystemExit(f"{path} cannot be read")
        pixels.tofile(folder / f"{path.stem}.raw")
        lines.append(f"{path.stem} {pixels.shape[0]} {pixels.shape[1]}\n")
    (folder / "sizes.txt").write_text("".join(lines))


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--own", choices=("steps", "files", "copies"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    originals = sorted((arguments.data / "rsna-originals" / "images").glob("*.png"))
    copies = sorted((arguments.data / "rsna-100px" / "boneage-training-dataset").glob("*.png"))
    if arguments.own:
        paths = copies[:COPIES] if arguments.own == "copies" else originals
        print(json.dumps(own_side(paths, decode=arguments.own != "steps")))
        return
    if not originals:
        raise SystemExit(f"There are no originals below {arguments.data}: give --data.")
    rows: dict[str, list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as raw:
        write_raw(originals, Path(raw))
        for _ in range(arguments.rounds):
            for name, kind in (
                ("boneage, four steps", "steps"),
                ("boneage, with reading the PNG", "files"),
                ("boneage, 100 px copies with reading", "copies"),
            ):
                rows.setdefault(name, []).append(in_process(kind, arguments.data))
            if shutil.which("octave"):
                figures = octave(Path(raw), len(originals))
                rows.setdefault("GNU Octave, four simpler steps", []).append(figures)
    print(f"{'one thread':38s}  images/s   min    max  peak MiB")
    for name, results in rows.items():
        rates = [result["rate"] for result in results]
        peak = max(result["peak_mib"] for result in results)
        low, middle, high = min(rates), statistics.median(rates), max(rates)
        print(f"{name:38s}  {middle:8.1f} {low:6.1f} {high:6.1f}  {peak:8.0f}")


if __name__ == "__main__":
    main()
