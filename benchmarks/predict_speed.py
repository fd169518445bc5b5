"""Prediction speed: radiographs per second from files, warm and cold, and the memory it takes.

    python benchmarks/predict_speed.py --model BUNDLE [--data ../shared/data] [--rounds 3]

Warm is one loaded :class:`~boneage.Predictor` over many files, cold the whole ``boneage predict``
process for a single file. Full-size files are the 14 originals, repeated; small ones are copies of
100 px.
Each figure is a median over rounds, each in a process of its own.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent / "src"
sys.path.insert(0, str(SOURCE))

REPEATS = 6
COPIES = 400


def warm(paths: list[Path], model: str, threads: int | None) -> dict[str, float]:
    """Rate of one predictor over the files, after four that do not count."""
    from boneage import load
    from boneage.inference.predictor import Query
    from boneage.radiographs.radiograph import Sex

    predictor = load(model, threads=threads)
    list(predictor.predict_many(Query(path, Sex.FEMALE) for path in paths[:4]))
    start = time.perf_counter()
    results = list(predictor.predict_many(Query(path, Sex.FEMALE) for path in paths))
    seconds = time.perf_counter() - start
    failed = [result for result in results if isinstance(result, Exception)]
    # The intake gate refuses a few; more would not be the work that is to be measured.
    if len(failed) > len(results) / 50:
        raise SystemExit(f"{len(failed)} predictions failed, as: {failed[0]}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"value": len(paths) / seconds, "peak_mib": peak}


def cold(path: Path, model: str) -> dict[str, float]:
    """Seconds from the shell to the answer, and the process's peak memory."""
    command = [
        sys.executable,
        "-m",
        "boneage",
        "predict",
        str(path),
        "--sex",
        "F",
        "--model",
        model,
    ]
    env = {**os.environ, "PYTHONPATH": str(SOURCE)}
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=env)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        raise SystemExit(f"boneage predict failed: {' '.join(command)}")
    return {"value": seconds, "peak_mib": usage.ru_maxrss / 1024}


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--own", choices=("full", "small"), help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    originals = sorted((arguments.data / "rsna-originals" / "images").glob("*.png"))
    copies = sorted((arguments.data / "rsna-100px" / "boneage-training-dataset").glob("*.png"))
    if not originals or not copies:
        raise SystemExit(f"There are no radiographs below {arguments.data}: give --data.")
    if arguments.own:
        paths = originals * REPEATS if arguments.own == "full" else copies[:COPIES]
        print(json.dumps(warm(paths, arguments.model, arguments.threads)))
        return
    rows: dict[str, list[dict[str, float]]] = {}
    base = [sys.executable, __file__, "--model", arguments.model, "--data", str(arguments.data)]
    for _ in range(arguments.rounds):
        for kind, words in (("full", "full size"), ("small", "100 px")):
            for threads in ([], ["--threads", "1"]):
                name = f"warm, {words}, {'1 thread' if threads else 'all cores'} (images/s)"
                done = subprocess.run(
                    [*base, "--own", kind, *threads], capture_output=True, text=True, check=True
                )
                rows.setdefault(name, []).append(json.loads(done.stdout))
        for path, words in ((originals[0], "full size"), (copies[0], "100 px")):
            name = f"cold, {words} (s)"
            rows.setdefault(name, []).append(cold(path, arguments.model))
    print(f"{'':38s}    median    min    max  peak MiB")
    for name, results in rows.items():
        values = [result["value"] for result in results]
        peak = max(result["peak_mib"] for result in results)
        low, middle, high = min(values), statistics.median(values), max(values)
        print(f"{name:38s}  {middle:8.2f} {low:6.2f} {high:6.2f}  {peak:8.0f}")


if __name__ == "__main__":
    main()
