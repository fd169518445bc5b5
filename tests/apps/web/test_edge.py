"""What becomes of an error that nobody has thought of."""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from api_tools import problem

from boneage.apps.web.edge import Edge
from boneage.apps.web.metrics import Metrics

SECRET = "/srv/models/secret: Mustermann"


async def broken(*_: Any) -> None:
    """An app with a fault, before its answer has begun."""
    raise RuntimeError(SECRET)


async def broken_late(_scope: Any, _receive: Any, send: Any) -> None:
    """An app with a fault, when its answer has begun."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    raise RuntimeError(SECRET)


def ask(app: Any, metrics: Metrics) -> httpx.Response:
    async def get() -> httpx.Response:
        transport = httpx.ASGITransport(Edge(app, metrics))
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            return await client.get("/made-up")

    # In a thread of its own: the tests of the page leave a loop running in this one.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(get())).result()


def test_a_fault_tells_nothing_of_itself(caplog: pytest.LogCaptureFixture) -> None:
    metrics = Metrics()
    with caplog.at_level(logging.INFO):
        answer = ask(broken, metrics)
    assert "report it" in problem(answer, 500)["detail"]
    assert SECRET not in answer.text + caplog.text
    assert "unexpected RuntimeError" in caplog.text
    assert "content-security-policy" in answer.headers
    assert b'boneage_requests_total{route="other",status="500"} 1.0' in metrics.text()


def test_an_answer_that_has_begun_is_broken_off(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(AssertionError):  # of httpx: the answer never ends
        ask(broken_late, Metrics())
    assert "unexpected RuntimeError" in caplog.text
    assert SECRET not in caplog.text
