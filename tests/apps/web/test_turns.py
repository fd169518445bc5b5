"""The order in which radiographs that wait are begun, and what becomes of those given up."""

import gc
import threading
import weakref

from boneage.apps.web.jobs import Inspect
from boneage.apps.web.lane import Task
from boneage.apps.web.turns import Turns


def tasks(name: str, count: int) -> list[Task]:
    return [Task(Inspect(f"{name}{at}", b"")) for at in range(count)]


def turns(*requests: list[Task]) -> Turns:
    made = Turns(threading.Condition())
    for request in requests:
        made.add(request)
    return made


def test_requests_take_turns_and_keep_their_order() -> None:
    waiting = turns(tasks("a", 4), tasks("b", 1), tasks("c", 2))
    assert len(waiting) == 7
    names = [task.job.name for task in waiting.take_all()]
    assert names == ["a0", "b0", "c0", "a1", "c1", "a2", "a3"]
    assert len(waiting) == 0
    assert waiting.take() is None


def test_what_is_cancelled_holds_nothing() -> None:
    given_up, kept = tasks("a", 3), tasks("b", 1)
    waiting = turns(given_up, kept)
    held = [weakref.ref(task) for task in given_up]
    futures = [task.future for task in given_up]
    del given_up
    gc.disable()  # its bytes must not wait for a collection
    try:
        for future in futures:
            assert future.cancel()
        assert [ref() for ref in held] == [None] * 3
    finally:
        gc.enable()
    assert len(waiting) == 1
    assert waiting.take_all() == kept


def test_what_has_begun_cannot_be_taken_back() -> None:
    (first, second) = tasks("a", 2)
    waiting = turns([first, second])
    assert waiting.take() is first
    assert not first.future.cancel()
    assert second.future.cancel()
    assert waiting.take() is None
