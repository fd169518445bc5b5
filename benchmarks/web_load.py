"""The web app under load: what 50 clients get on 2 cores, beside the predictor without a server.

    python benchmarks/web_load.py [--requests 10000] [--clients 50] [--full-share 0.25]

Clients, server and workers share the cores. Each client sends one radiograph after the other over a
connection that stays open and waits where it is told 429. The local figure is
``Predictor.predict_many`` over the same files on the same cores, from disk, in a process of its
own, measured before and after. Every bone age must be the local one. Besides the rates the
processor time of a radiograph is told: a busy machine spoils the one and hardly the other.
"""

import argparse
import asyncio
import collections
import json
import os
import random
import re
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "src"))

BOUNDARY = "boneage-load"
LOCAL_COUNT = 400
TICKS = os.sysconf("SC_CLK_TCK")


def mixed_files(data: Path, count: int, full_share: float) -> list[Path]:
    """Full-size and 100 px files in random order, the same at every call."""
    full = sorted((data / "rsna-originals" / "images").glob("*.png"))
    small = sorted((data / "rsna-100px" / "boneage-training-dataset").glob("*.png"))[:2000]
    if not full or not small:
        raise SystemExit(f"There are no radiographs below {data}: give --data.")
    draw = random.Random(0)
    return [draw.choice(full if draw.random() < full_share else small) for _ in range(count)]


def local(files: list[Path], model: str | None) -> dict[str, object]:
    """Rate, processor time and bone ages of the predictor without a server."""
    from boneage import load
    from boneage.inference.predictor import Query
    from boneage.radiographs.radiograph import Sex

    predictor = load(model)
    list(predictor.predict_many(Query(path, Sex.FEMALE) for path in files[:8]))
    wall, used = time.perf_counter(), time.process_time()
    answers = list(predictor.predict_many(Query(path, Sex.FEMALE) for path in files))
    wall, used = time.perf_counter() - wall, time.process_time() - used
    ages = {
        path.name: getattr(answer, "bone_age_months", None)
        for path, answer in zip(files, answers, strict=True)
    }
    return {"rate": len(files) / wall, "cpu_ms": 1000 * used / len(files), "ages": ages}


def local_in_process(options: argparse.Namespace) -> dict[str, object]:
    command = [sys.executable, __file__, "--local", "--data", str(options.data)]
    command += ["--requests", str(min(options.requests, LOCAL_COUNT))]
    command += ["--full-share", str(options.full_share)]
    command += [] if options.model is None else ["--model", options.model]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


class Server:
    """``boneage serve`` as a process."""

    def __init__(self, options: argparse.Namespace) -> None:
        command = [sys.executable, "-m", "boneage", "serve", "--port", "0", *options.serve]
        command += [] if options.model is None else ["--model", options.model]
        env = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src")}
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)
        assert self._process.stdout is not None
        found = re.match(r"Serving on http://127.0.0.1:(\d+)/", self._process.stdout.readline())
        if found is None:
            raise SystemExit("boneage serve did not start.")
        self.port = int(found[1])

    def pids(self) -> tuple[list[int], list[int]]:
        """Of the server and of its workers."""
        own = self._process.pid
        # Each worker is a child of the thread that drives it.
        lists = [path.read_text() for path in Path(f"/proc/{own}/task").glob("*/children")]
        return [own], [int(pid) for listed in lists for pid in listed.split()]

    def end(self) -> int:
        """End it with SIGTERM; its exit status."""
        self._process.terminate()
        return self._process.wait(30)


def resident_mib(pids: list[int]) -> float:
    """Memory of some processes, pages that they share counted for each."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                total += int(line.split()[1])
    return total / 1024


def used_s(pids: list[int]) -> float:
    """Processor time of some processes."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


@dataclass
class Tally:
    """What the clients saw."""

    statuses: collections.Counter[str] = field(default_factory=collections.Counter)
    rows: collections.Counter[str] = field(default_factory=collections.Counter)
    seconds: dict[str, list[float]] = field(default_factory=lambda: {"full": [], "small": []})
    wrong: list[str] = field(default_factory=list)
    lost: int = 0


def request_bytes(path: Path) -> bytes:
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="sex"\r\n\r\nfemale\r\n'
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="files"; filename="{path.name}"'
        "\r\nContent-Type: image/png\r\n\r\n"
    ).encode()
    body = head + path.read_bytes() + f"\r\n--{BOUNDARY}--\r\n".encode()
    lines = (
        "POST /api/v1/predictions HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return lines.encode() + body


async def client(port: int, waiting: list[Path], tally: Tally, ages: dict[str, object]) -> None:
    """Send what waits, one after the other, over one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while waiting:
        path = waiting.pop()
        size = "full" if "originals" in str(path) else "small"
        request = request_bytes(path)
        while True:
            begun = time.perf_counter()
            writer.write(request)
            await writer.drain()
            head = await reader.readuntil(b"\r\n\r\n")
            status = head[9:12].decode()
            length = int(re.search(rb"content-length: (\d+)", head)[1])  # type: ignore[index]
            body = await reader.readexactly(length)
            tally.statuses[status] += 1
            if status != "429":
                break
            await asyncio.sleep(int(re.search(rb"retry-after: (\d+)", head)[1]))  # type: ignore[index]
        tally.seconds[size].append(time.perf_counter() - begun)
        if status == "200":
            (row,) = json.loads(body)["rows"]
            tally.rows[row["status"]] += 1
            expected = ages.get(path.name, ...)
            age = row["bone_age_months"]
            if row["path"] != path.name or (
                expected is not ... and age != (expected and round(float(expected), 1))  # type: ignore[arg-type]
            ):
                tally.wrong.append(path.name)
    writer.close()
    await writer.wait_closed()


async def load_with(
    server: Server, files: list[Path], clients: int, ages: dict[str, object]
) -> tuple[Tally, float, list[tuple[float, float]], tuple[float, float, float]]:
    """Let the clients send everything; what they saw, seconds, memory, processor time."""
    own, workers = server.pids()
    tally, memory = Tally(), list[tuple[float, float]]()
    waiting = files[::-1]

    async def sample() -> None:
        while True:
            memory.append((resident_mib(own), resident_mib(workers)))
            await asyncio.sleep(1)

    before = used_s(own), used_s(workers), time.process_time()
    begun = time.perf_counter()
    sampling = asyncio.ensure_future(sample())
    ends = await asyncio.gather(
        *(client(server.port, waiting, tally, ages) for _ in range(clients)),
        return_exceptions=True,
    )
    seconds = time.perf_counter() - begun
    sampling.cancel()
    after = used_s(own), used_s(workers), time.process_time()
    for fault in filter(None, ends):
        print(f"a client ended: {fault!r}", file=sys.stderr)
    tally.lost = len(files) - sum(map(len, tally.seconds.values()))
    used = tuple(late - early for late, early in zip(after, before, strict=True))
    return tally, seconds, memory, used  # type: ignore[return-value]


def quantiles(values: list[float]) -> str:
    if not values:
        return "-"
    values = sorted(values)
    p50, p99 = values[len(values) // 2], values[min(int(len(values) * 0.99), len(values) - 1)]
    return f"p50 {p50:.2f} s, p99 {p99:.2f} s, longest {values[-1]:.2f} s"


def thirds(samples: list[float]) -> str:
    """Medians of the first and the last third."""
    part = max(len(samples) // 3, 1)
    first, last = statistics.median(samples[:part]), statistics.median(samples[-part:])
    return f"{first:.0f} MiB, {last:.0f} MiB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--full-share", type=float, default=0.25)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--model")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--local", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("serve", nargs="*", help="further options of boneage serve, after --")
    options = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
    files = mixed_files(options.data, options.requests, options.full_share)
    if options.local:
        print(json.dumps(local(files, options.model)))
        return
    before = local_in_process(options)
    server = Server(options)
    # Lazy imports and first allocations are not what is to be measured.
    asyncio.run(load_with(server, files[:20], 4, {}))
    ages: dict[str, object] = before["ages"]  # type: ignore[assignment]
    tally, seconds, memory, used = asyncio.run(load_with(server, files, options.clients, ages))
    status = server.end()
    after = local_in_process(options)
    rates = [float(run["rate"]) for run in (before, after)]  # type: ignore[arg-type]
    local_ms = statistics.mean(float(run["cpu_ms"]) for run in (before, after))  # type: ignore[arg-type]
    rate = len(files) / seconds
    each = [1000 * part / len(files) for part in used]
    every = tally.seconds["full"] + tally.seconds["small"]
    print(
        f"requests                {len(files)} by {options.clients} clients, {options.cores} cores"
    )
    print(f"statuses                {dict(tally.statuses)}; rows {dict(tally.rows)}")
    print(f"lost                    {tally.lost}")
    print(f"other than local        {len(tally.wrong)} {tally.wrong[:3]}")
    print(f"radiographs a second    {rate:.1f}, {len(files) / seconds * 60:.0f} a minute")
    print(f"  without a server      {rates[0]:.1f} before, {rates[1]:.1f} after")
    print(f"  share                 {100 * rate / statistics.mean(rates):.0f} %")
    print(f"time of all             {quantiles(every)}")
    for size, values in tally.seconds.items():
        print(f"  {size:22s}{quantiles(values)}")
    parts = "server {:.1f}, workers {:.1f}, clients {:.1f}".format(*each)
    print(f"processor time of each  {sum(each):.1f} ms: {parts}")
    print(f"  without a server      {local_ms:.1f} ms, {100 * local_ms / sum(each):.0f} % of it")
    print(f"memory of the server    {thirds([own for own, _ in memory])}")
    print(f"memory of its workers   {thirds([below for _, below in memory])}")
    print(f"exit status             {status}")


if __name__ == "__main__":
    main()
