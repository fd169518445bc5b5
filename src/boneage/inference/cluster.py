"""Predicting part by part with Ray Data, on this machine or on a cluster.

Ray runs a pool of worker processes, each on one core with a loaded model, and gives a part to
whichever is free. A worker that is killed is started again and its part is begun anew, so no row is
lost or comes twice. Needs the extra ``cluster``.
"""

import functools
from collections.abc import Generator, Sequence
from typing import Any

from boneage import __version__
from boneage.errors import WorkerError, require_extra
from boneage.inference.bundle import Bundle
from boneage.inference.part_worker import (
    Attempts,
    PartResult,
    PartWorker,
    WorkerTask,
    packed_part,
)
from boneage.inference.parts import Part
from boneage.inference.ray_session import ClusterSettings, last_line, ray_session
from boneage.inference.run import SexTable

__all__ = ["predict_parts"]


def predict_parts(
    bundle: Bundle,
    parts: Sequence[Part],
    *,
    task: WorkerTask,
    labels: SexTable | None = None,
    settings: ClusterSettings | None = None,
) -> Generator[PartResult, None, None]:
    """Predict parts in the processes of a cluster.

    Args:
        bundle: The model; the machines of the cluster get it from here.
        parts: What is to be predicted.
        task: What is the same for every part.
        labels: Where to look the sex up by id.
        settings: Where to predict; by default on every core of this machine.

    Yields:
        What became of each part, as they are finished.

    Raises:
        MissingExtraError: Ray is not installed.
        SettingsError: There is no cluster at the address.
        WorkerError: Parts are missing, because their workers were lost again and again.
        BoneAgeError: A worker met an error that is not one of a single file.
        SystemExit: The process was told to end by SIGTERM.
    """
    require_extra("cluster", "ray", "pyarrow")
    if not parts:
        return
    settings = settings or ClusterSettings()
    missing = {part.index: part for part in parts}
    with ray_session(settings, len(bundle.onnx_bytes)) as ray:
        lasting = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)
        attempts = lasting(Attempts).remote()
        items = [packed_part(part, labels) for part in parts]
        results = ray.data.from_items(items, override_num_blocks=len(items)).map(
            PartWorker,
            fn_constructor_args=(
                task,
                functools.partial(ray.get, ray.put(bundle)),
                lambda part: ray.get(attempts.begin.remote(part)),
            ),
            # One part at a time: a second one in its queue would wait while others are idle.
            compute=ray.data.ActorPoolStrategy(
                size=min(_workers(settings, ray), len(parts)), max_tasks_in_flight_per_actor=1
            ),
            num_cpus=1,
        )
        del items
        try:
            for block in results.iter_batches(
                batch_size=None, batch_format="pyarrow", prefetch_batches=0
            ):
                for row in block.to_pylist():
                    result = PartResult.unpacked(row)
                    if result is not None:
                        del missing[result.index]
                        yield result
        except ray.exceptions.RayError as error:
            raise WorkerError(
                f"The workers cannot run: {last_line(error)}. Every machine needs boneage "
                f"{__version__} with the extra cluster. Finished parts are kept."
            ) from error
    if missing:
        raise WorkerError(_given_up(list(missing.values())))


def _workers(settings: ClusterSettings, ray: Any) -> int:
    return settings.workers or max(1, int(ray.cluster_resources().get("CPU", 1)))


def _given_up(parts: Sequence[Part]) -> str:
    names = [f"{part.name} ({part.files[0].path} to {part.files[-1].path})" for part in parts[:3]]
    more = f" and {len(parts) - 3} more" if len(parts) > 3 else ""
    return (
        f"The worker was lost each time at {', '.join(names)}{more}, often for want of memory: "
        "fewer --workers need less. The other parts are kept, and the same command goes on."
    )
