"""Bulk prediction with Ray against one process: rate per core, start-up, and memory over time.

    python benchmarks/ray_predict.py [--data ../shared/data] [--count 50000] [--local-count 5000]

The inputs are links to the 100 px copies, or to phantoms where those are absent, under names of
their own. Both engines run ``boneage predict`` as a user does. Start-up is the time of a run over
one input for each core; it is taken off before the rates are computed, so that they hold for
archives. The rows of both engines are compared. Memory is sampled from /proc every second: that it
stays flat shows in the last third of the run against the first.
"""

import argparse
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent / "src"
sys.path.insert(0, str(SOURCE))

PHANTOMS = 200
PAGE_MIB = os.sysconf("SC_PAGE_SIZE") / 2**20


@dataclass
class Sampled:
    """A run of ``boneage predict``: its seconds, and the resident memory once a second, in MiB.

    ``workers`` has the mean of Ray's workers, in samples where there were any.
    """

    seconds: float = 0.0
    driver: list[float] = field(default_factory=list)
    workers: list[float] = field(default_factory=list)


def resident_mib(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_MIB
    except (OSError, IndexError):
        return 0.0


def workers_below(pid: int) -> list[int]:
    listed = subprocess.run(
        ["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True
    )
    below, found = {pid}, []
    for line in listed.stdout.splitlines():
        child, parent, title = line.split(maxsplit=2)
        if int(parent) in below:
            below.add(int(child))
            if "MapWorker" in title:
                found.append(int(child))
    return found


def predict(inputs: Path, out: Path, model: str | None, *options: str) -> Sampled:
    """Run the command and sample its memory."""
    command = [sys.executable, "-m", "boneage", "predict", str(inputs), "--sex", "F"]
    command += ["--out", str(out), *options]
    command += [] if model is None else ["--model", model]
    sampled = Sampled()
    start = time.perf_counter()
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(
            command, env={**os.environ, "PYTHONPATH": str(SOURCE)}, stderr=errors
        ) as process,
    ):
        while True:
            try:
                code = process.wait(timeout=1)
                break
            except subprocess.TimeoutExpired:
                sampled.driver.append(resident_mib(process.pid))
                workers = [resident_mib(pid) for pid in workers_below(process.pid)]
                if workers:
                    sampled.workers.append(statistics.mean(workers))
        if code not in (0, 1):  # 1: the intake gate refuses a few
            errors.seek(0)
            raise SystemExit(f"{' '.join(command)} failed:\n{errors.read()}")
    sampled.seconds = time.perf_counter() - start
    return sampled


def sources(data: Path, scratch: Path) -> list[Path]:
    """The radiographs that the inputs are links to."""
    copies = sorted((data / "rsna-100px" / "boneage-training-dataset").glob("*.png"))
    if copies:
        return copies
    from boneage.radiographs.phantom import write_phantom_dataset

    print(f"no radiographs below {data}: {PHANTOMS} phantoms stand in", flush=True)
    folder = write_phantom_dataset(scratch / "phantoms", PHANTOMS, seed=0)
    return sorted((folder / "images").iterdir())


def link(radiographs: list[Path], folder: Path, count: int) -> Path:
    """A folder with ``count`` inputs."""
    folder.mkdir()
    for number, path in enumerate(itertools.islice(itertools.cycle(radiographs), count)):
        (folder / f"{number:08d}{path.suffix}").symlink_to(path.resolve())
    return folder


def rows(table: Path) -> list[str]:
    """Lines without the header and the folder of the inputs, which differs."""
    lines = table.read_text(encoding="utf-8").splitlines()[1:]
    return [os.path.basename(path) + rest for path, rest in (line.split(",", 1) for line in lines)]


def thirds(samples: list[float]) -> str:
    """Mean of the first third, of the last third, and the peak."""
    third = max(1, len(samples) // 3)
    first, last = statistics.mean(samples[:third]), statistics.mean(samples[-third:])
    return f"{first:8.0f} {last:8.0f} {max(samples):8.0f}"


def main() -> None:
    """Run both engines and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--model")
    parser.add_argument("--count", type=int, default=50_000)
    parser.add_argument("--local-count", type=int, default=5_000)
    parser.add_argument("--part-size", type=int, default=500)
    parser.add_argument("--scratch", type=Path, help="where the links and rows go")
    arguments = parser.parse_args()
    from boneage.inference.session import available_cpus

    cores = available_cpus()
    counts = {"local": min(arguments.local_count, arguments.count), "ray": arguments.count}
    ray = ["--engine", "ray", "--part-size"]
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as name:
        scratch = Path(name)
        radiographs = sources(arguments.data, scratch)
        few = link(radiographs, scratch / "few", cores)
        starts = {
            "local": predict(few, scratch / "few-local.csv", arguments.model),
            "ray": predict(few, scratch / "few-ray.csv", arguments.model, *ray, "1"),
        }
        runs = {}
        for engine, options in (("local", []), ("ray", [*ray, str(arguments.part_size)])):
            inputs = link(radiographs, scratch / engine, counts[engine])
            runs[engine] = predict(inputs, scratch / f"{engine}.csv", arguments.model, *options)
        local, bulk = rows(scratch / "local.csv"), rows(scratch / "ray.csv")
        same = local == bulk[: len(local)] and len(bulk) == counts["ray"]
    print(f"{cores} cores     inputs  seconds  start-up s  images/s  images/s and core")
    rates = {}
    for engine, run in runs.items():
        start = starts[engine].seconds
        rates[engine] = (counts[engine] - cores) / (run.seconds - start)
        print(
            f"{engine:10s} {counts[engine]:9d} {run.seconds:8.1f} {start:11.1f} "
            f"{rates[engine]:9.2f} {rates[engine] / cores:18.2f}"
        )
    print(f"ray to local, per core: {rates['ray'] / rates['local']:.1%}")
    print(f"rows of both engines: {'identical' if same else 'DIFFERENT'}")
    print("MiB resident      first third, last third, peak")
    print(f"local            {thirds(runs['local'].driver)}")
    print(f"ray, driver      {thirds(runs['ray'].driver)}")
    print(f"ray, a worker    {thirds(runs['ray'].workers)}")
    if not same:
        raise SystemExit("The engines differ.")


if __name__ == "__main__":
    main()
