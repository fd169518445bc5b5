"""The queue's states: whatever happens in whatever order, and whenever it is opened anew."""

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    precondition,
    rule,
)

from boneage.apps.node.queue import MOST_BEGUN, MOST_DEATHS, Job, Queue
from boneage.apps.node.queue_rows import Arrival
from boneage.errors import OutputError

UIDS = st.sampled_from([f"1.2.{number}" for number in range(6)])
CONTENTS = st.sampled_from([b"a", b"b"])
LATER = 1000.0


class QueueMachine(RuleBasedStateMachine):
    """Compares the queue with what was done to it."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp()) / "queue"
        self.clock = 0.0
        self.keep_days = 0.0
        self.queue = self._opened()
        self.contents: dict[str, bytes] = {}
        self.states: dict[str, str] = {}
        self.order: list[str] = []
        self.deaths: dict[str, int] = {}
        self.begun: dict[str, int] = {}
        self.asleep: set[str] = set()
        self.in_hand: dict[str, str] = {}  # key to UID
        self.keys: dict[str, str] = {}  # UID to key

    jobs: "Bundle[Job]" = Bundle("jobs")

    def _opened(self) -> Queue:
        return Queue(self.folder, keep_days=self.keep_days, now=lambda: self.clock)

    def teardown(self) -> None:
        self.queue.close()
        shutil.rmtree(self.folder.parent)

    @rule(uid=UIDS, content=CONTENTS)
    def put(self, uid: str, content: bytes) -> None:
        arrival = self.queue.put(uid, b"head", content)
        if uid not in self.contents:
            assert arrival is Arrival.NEW
            self.contents[uid], self.states[uid] = content, "received"
            self.order.append(uid)
            self.deaths[uid] = self.begun[uid] = 0
            (path,) = set(self.queue.files.folder.glob("sources/*")) - {
                self.queue.files.source(key) for key in self.keys.values()
            }
            self.keys[uid] = path.stem
        else:
            same = self.contents[uid] == content
            assert arrival is (Arrival.KNOWN if same else Arrival.OTHER)

    @rule(target=jobs)
    def claim(self) -> object:
        job = self.queue.claim()
        open_ = [
            uid
            for uid in self.order
            if self.states[uid] == "received"
            and uid not in self.in_hand.values()
            and uid not in self.asleep
        ]
        while open_ and self.begun[open_[0]] >= MOST_BEGUN:
            self.states[open_.pop(0)] = "failed"
        if not open_:
            assert job is None
            return multiple()
        assert job is not None
        uid = open_[0]
        assert job.key == self.keys[uid]
        assert job.source.read_bytes() == b"head" + self.contents[uid]
        assert list(job.out.iterdir()) == []
        self.begun[uid] += 1
        self.in_hand[job.key] = uid
        return job

    def _uid(self, job: Job) -> str | None:
        """What a job is of; None if the queue was opened anew since it was begun."""
        return self.in_hand.pop(job.key, None) if job.out.exists() else None

    @rule(job=consumes(jobs), count=st.integers(1, 2))
    def finish(self, job: Job, count: int) -> None:
        if uid := self._uid(job):
            for number in range(count):
                (job.out / f"{number}.dcm").write_text(uid)
            self.queue.finish(job, [f"9.{uid}.{number}" for number in range(count)])
            self.states[uid] = "answered"
            assert self.queue.put(f"9.{uid}.0", b"", b"x") is Arrival.OWN

    @rule(job=consumes(jobs))
    def fail(self, job: Job) -> None:
        if uid := self._uid(job):
            self.queue.fail(job, "why")
            self.states[uid] = "failed"

    @rule(job=consumes(jobs))
    def die(self, job: Job) -> None:
        if uid := self._uid(job):
            self.deaths[uid] += 1
            given_up = self.queue.died(job)
            assert given_up == (self.deaths[uid] >= MOST_DEATHS)
            if given_up:
                self.states[uid] = "failed"

    @rule(job=consumes(jobs), sleep=st.booleans())
    def give_back(self, job: Job, sleep: bool) -> None:
        if uid := self._uid(job):
            self.begun[uid] -= 1
            if sleep:
                self.queue.set_aside(job, 1)
                self.asleep.add(uid)
            else:
                self.queue.release(job)

    @rule(outcomes=st.lists(st.booleans(), max_size=3))
    def send(self, outcomes: list[bool]) -> None:
        deliveries = self.queue.due()
        by_key = {key: uid for uid, key in self.keys.items()}
        expected = {
            uid
            for uid, state in self.states.items()
            if state == "answered" and uid not in self.asleep
        }
        assert {by_key[delivery.key] for delivery in deliveries} == expected
        for delivery, taken in zip(deliveries, outcomes, strict=False):
            uid = by_key[delivery.key]
            assert {path.read_text() for path in delivery.files} == {uid}
            if taken:
                self.queue.sent(delivery)
                self.states[uid] = "sent"
            else:
                self.queue.postpone(delivery, 1)
                self.asleep.add(uid)

    @rule()
    def wait(self) -> None:
        self.clock += 1
        self.asleep.clear()

    @rule(keep_days=st.sampled_from([0.0, 1.0]), crashed=st.booleans())
    def reopen(self, keep_days: float, crashed: bool) -> None:
        if not crashed:
            self.queue.close()
        self.keep_days = keep_days
        before, self.queue = self.queue, self._opened()
        if crashed:
            before.close()
        self.in_hand.clear()
        self.asleep.clear()

    @precondition(lambda self: not self.in_hand)
    @rule()
    def forget(self) -> None:
        self.clock += LATER * 86400
        self.queue.tidy(remember_days=LATER / 2)
        self.asleep.clear()
        for uid, state in list(self.states.items()):
            if state in ("sent", "failed"):
                del self.states[uid], self.contents[uid]
                del self.keys[uid]
                self.order.remove(uid)

    @invariant()
    def nothing_is_lost(self) -> None:
        counts = self.queue.counts()
        assert counts == {
            state: list(self.states.values()).count(state) for state in set(self.states.values())
        }
        files = self.queue.files
        for uid, state in self.states.items():
            key = self.keys[uid]
            if state in ("received", "answered"):
                assert files.source(key).read_bytes() == b"head" + self.contents[uid]
            if state == "answered":
                assert files.results(key)

    @invariant()
    def nothing_is_left(self) -> None:
        files = self.queue.files
        assert list(files.folder.glob("incoming/*")) == []
        assert len(list(files.folder.glob("work/*"))) == len(self.in_hand)
        sources = {path.stem for path in files.folder.glob("sources/*")}
        assert sources <= set(self.keys.values())


TestQueue = QueueMachine.TestCase
TestQueue.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)


def test_files_that_no_row_speaks_of_are_removed(tmp_path: Path) -> None:
    Queue(tmp_path / "queue").close()
    for name in ("incoming/half", "sources/unacknowledged.dcm", "results/unnoted/a.dcm"):
        path = tmp_path / "queue" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    (tmp_path / "queue" / "work" / "begun").mkdir()
    queue = Queue(tmp_path / "queue")
    assert [*queue.files.folder.glob("*/*")] == []
    queue.close()


def test_results_that_someone_removed_are_made_again(tmp_path: Path) -> None:
    queue = Queue(tmp_path / "queue")
    queue.put("1.2", b"", b"x")
    job = queue.claim()
    assert job is not None
    (job.out / "a.dcm").write_bytes(b"result")
    queue.finish(job, ["1.3"])
    shutil.rmtree(queue.files.results(job.key)[0].parent)
    assert queue.due() == []
    again = queue.claim()
    assert again is not None
    assert again.key == job.key
    queue.close()


def test_a_damaged_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "queue").mkdir()
    (tmp_path / "queue" / "queue.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(OutputError, match="Cannot write the queue"):
        Queue(tmp_path / "queue")


def test_work_that_never_has_an_outcome_is_given_up(tmp_path: Path) -> None:
    for crash in range(MOST_BEGUN):
        queue = Queue(tmp_path / "queue")
        queue.put("1.2", b"", b"x")
        # Work that is given back in good order does not count.
        for _ in range(3):
            job = queue.claim()
            assert job is not None, crash
            queue.release(job)
        assert queue.claim() is not None
        queue.close()  # as if the whole node had gone
    queue = Queue(tmp_path / "queue")
    assert queue.claim() is None
    assert queue.reasons() == [f"begun {MOST_BEGUN} times without an outcome"]
    queue.close()
