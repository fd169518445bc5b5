"""From a request to the answers of its radiographs, as long as somebody waits for them."""

import asyncio
from collections.abc import Sequence
from typing import Any, overload

from fastapi import Request

from boneage.apps.web.engine import BusyError, Engine, StoppingError
from boneage.apps.web.jobs import Answer, ChildInFile, Inspect, Job
from boneage.apps.web.keeping import Keeper
from boneage.apps.web.problems import CLIENT_GONE, ProblemError

__all__ = ["ask"]


@overload
async def ask(request: Request, engine: Engine, jobs: Sequence[Job]) -> list[Answer]: ...


@overload
async def ask(request: Request, engine: Engine, jobs: Sequence[Inspect]) -> list[ChildInFile]: ...


async def ask(request: Request, engine: Engine, jobs: Sequence[Any]) -> list[Any]:
    """Have jobs done and wait for all of them.

    Args:
        request: Whose they are; its body has been read. If its caller goes away, what has not
            begun is dropped.
        engine: Who does them.
        jobs: One or more.

    Returns:
        The answers in the order of the jobs.

    Raises:
        ProblemError: 429 if too many wait, 503 if the server is ending.
    """
    try:
        futures = [asyncio.wrap_future(future) for future in engine.submit(jobs)]
    except BusyError as error:
        headers = {"Retry-After": str(error.retry_after_s)}
        raise ProblemError(429, str(error), headers=headers) from error
    except StoppingError as error:
        raise _stopping(error) from error
    answers = asyncio.gather(*futures)
    gone = asyncio.ensure_future(_gone(request))
    either: set[asyncio.Future[Any]] = {answers, gone}
    try:
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not answers.done():
            raise ProblemError(CLIENT_GONE, "The caller went away.")
        found = await answers
    except StoppingError as error:
        raise _stopping(error) from error
    finally:
        gone.cancel()
        for future in futures:  # if one failed, the others are still there
            future.cancel()
    await _note(request, engine, jobs, found)
    return found


async def _note(
    request: Request, engine: Engine, jobs: Sequence[Any], found: Sequence[Any]
) -> None:
    """Count the answers, and keep them if that is wanted."""
    noted = [
        (job, answer)
        for job, answer in zip(jobs, found, strict=True)
        if isinstance(answer, Answer) and not job.again
    ]
    for _, answer in noted:
        engine.metrics.radiographs.labels(answer.row.status).inc()
    keeper: Keeper | None = request.app.state.keeper
    if keeper is not None and noted:
        await asyncio.to_thread(
            keeper.keep, [job for job, _ in noted], [answer for _, answer in noted]
        )


async def _gone(request: Request) -> None:
    """Return when the caller is gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _stopping(error: StoppingError) -> ProblemError:
    return ProblemError(503, f"{error} Try again in 10 s.", headers={"Retry-After": "10"})
