"""Many radiographs on the page: progress, cancelling, a busy server, a server that is gone."""

import json
import re
import shutil
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from page_tools import Server, Visitor, serving, write_damaged, write_phantom

from chromium import open_page

COUNT = 20


@pytest.fixture(scope="module")
def batch(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Twenty radiographs, the eighth of them damaged."""
    folder = tmp_path_factory.mktemp("batch")
    drawn = [write_phantom(folder / f"drawn-{seed}.png", seed, 1000) for seed in range(4)]
    paths = [folder / f"hand-{at:02}.png" for at in range(COUNT)]
    for at, path in enumerate(paths):
        shutil.copy(drawn[at % 4], path)
    write_damaged(paths[7])
    return paths


def begin(visitor: Visitor, batch: list[Path]) -> None:
    """Choose the files, say that all are boys, and send them off."""
    visitor.choose_files(*batch)
    visitor.page.get_by_role("group", name="Sex of all").get_by_role(
        "button", name="male"
    ).last.click()
    visitor.page.get_by_role("button", name="Predict all").click()


def test_a_batch_tells_how_far_it_is(browser: Any, server: Server, batch: list[Path]) -> None:
    with open_page(browser, server.url) as page:
        # Everything that a screen reader is told, in order.
        page.evaluate(
            """() => {
                window.told = [];
                const words = document.getElementById("batch-words");
                const bar = document.getElementById("batch-bar");
                const note = () => window.told.push([words.textContent, bar.value / bar.max]);
                new MutationObserver(note)
                    .observe(words, { childList: true, characterData: true, subtree: true });
            }"""
        )
        visitor = Visitor(page)
        begin(visitor, batch)
        page.get_by_text("20 radiographs: 19 done, 1 failed.").wait_for()
        assert page.locator("#batch-words").get_attribute("role") == "status"
        told = page.evaluate("window.told")
        done = [int(found[1]) for words, _ in told if (found := re.search(r"(\d+) done", words))]
        assert done == sorted(done)
        assert len(set(done)) > 10
        assert [share for _, share in told] == sorted(share for _, share in told)
        assert not page.get_by_role("button", name="Cancel").is_visible()
        assert not page.get_by_role("button", name="Predict all").is_visible()
        assert "cut short" in visitor.wait("hand-07.png", "failed").inner_text()
        table = json.loads(saved(page, "JSON"))
        assert [row["id"] for row in table] == [path.stem for path in batch]
        assert {row["sex"] for row in table} == {"male"}
        assert page.faults == []


def test_the_chosen_radiograph_is_in_view_however_long_the_list_is(
    browser: Any, server: Server, batch: list[Path]
) -> None:
    with open_page(browser, server.url) as page:
        visitor = Visitor(page)
        visitor.choose_files(*batch)
        name = batch[-1].name
        visitor.choose_sex(name, "male")
        visitor.row(name).get_by_role("button", name=name).click()
        visitor.predict(name)
        visitor.wait(name, "ok")
        visitor.wait_for_picture(name, heat=True)
        line = visitor.row(name).locator(".line")
        for place in (page.locator(".stage"), page.locator("#finding .age"), line):
            box = place.bounding_box()
            assert box["y"] >= 0
            assert box["y"] + box["height"] <= 900
        assert page.evaluate("document.documentElement.scrollHeight") <= 900
        bar = page.locator(".bar").bounding_box()
        assert page.locator(".stage").bounding_box()["y"] >= bar["y"] + bar["height"]


def test_a_batch_can_be_cancelled(browser: Any, server: Server, batch: list[Path]) -> None:
    with open_page(browser, server.url) as page:
        visitor = Visitor(page)
        begin(visitor, batch)
        visitor.wait("hand-01.png", "ok")
        page.get_by_role("button", name="Cancel").click()
        page.get_by_text(re.compile(r"cancelled")).first.wait_for()
        page.get_by_role("button", name="Cancel").wait_for(state="hidden")
        states = page.locator("li.row").evaluate_all("rows => rows.map(row => row.dataset.state)")
        assert set(states) <= {"ok", "failed", "cancelled"}
        assert states.count("cancelled") > 5
        before = len(page.asked)
        # What is left is sent when it is wanted after all.
        page.get_by_role("button", name="Predict all").click()
        page.get_by_text("20 radiographs: 19 done, 1 failed.").wait_for()
        again = [url for url in page.asked[before:] if url.endswith("/results")]
        assert len(again) == states.count("cancelled")


def test_the_focus_stays_with_who_uses_the_keyboard(
    browser: Any, server: Server, batch: list[Path]
) -> None:
    with open_page(browser, server.url) as page:
        # Every element that the focus fell back to the page from.
        page.evaluate(
            """() => {
                window.lost = [];
                const look = () => {
                    if (document.activeElement === document.body) window.lost.push(window.last);
                    window.last = document.activeElement.textContent.trim();
                    requestAnimationFrame(look);
                };
                document.getElementById("files").focus();
                requestAnimationFrame(look);
            }"""
        )
        visitor = Visitor(page)
        visitor.choose_files(*batch)

        def focused() -> str:
            return str(page.evaluate("document.activeElement.textContent.trim()"))

        page.get_by_role("group", name="Sex of all").get_by_role("button", name="female").focus()
        page.keyboard.press("Enter")
        assert focused() == "20 radiographs."
        page.keyboard.press("Tab")
        assert focused() == "Predict all"
        page.keyboard.press("Enter")
        page.keyboard.press("Enter")  # nothing is sent twice
        visitor.wait("hand-01.png", "ok")
        assert focused() == "Predict all"
        page.keyboard.press("Tab")
        assert focused() == "Cancel"
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Cancel").wait_for(state="hidden")
        assert "cancelled" in focused()
        send = visitor.row("hand-00.png").get_by_role("button", name="Predict again")
        send.focus()
        page.keyboard.press("Enter")
        page.keyboard.press("Enter")
        visitor.wait("hand-00.png", "ok")
        assert focused() == "Predict again"
        page.get_by_role("button", name="Predict all").focus()
        page.keyboard.press("Enter")
        page.get_by_text("20 radiographs: 19 done, 1 failed.").wait_for()
        page.get_by_role("button", name="Predict all").wait_for(state="hidden")
        assert "19 done" in focused()
        visitor.row("hand-05.png").get_by_role("button", name="hand-05.png").focus()
        sent = [url for url in page.asked if url.endswith("/results")]
        assert len(sent) <= 21 + 4  # those that were on their way when it was cancelled
        visitor.settle()
        assert page.evaluate("window.lost") == []


def test_no_answer_stays_for_what_was_changed_meanwhile(
    browser: Any, server: Server, batch: list[Path]
) -> None:
    with open_page(browser, server.url) as page:
        visitor = Visitor(page)
        visitor.choose_files(batch[0])
        visitor.choose_sex("hand-00.png", "female")
        visitor.wait_for_picture("hand-00.png")
        with occupied(server, batch[0], waiting=12):
            visitor.predict("hand-00.png")
            visitor.choose_sex("hand-00.png", "male")
        page.wait_for_load_state("networkidle")
        assert "Ready." in visitor.wait("hand-00.png", "new").inner_text()
        visitor.predict("hand-00.png")
        visitor.wait("hand-00.png", "ok")
        assert "months), male" in page.locator("#finding").inner_text()


def test_a_busy_server_is_waited_for_and_a_lost_one_is_told(
    browser: Any, batch: list[Path]
) -> None:
    with serving("--max-waiting", "1") as server, open_page(browser, server.url) as page:
        visitor = Visitor(page)
        visitor.choose_files(*batch[:6])
        visitor.choose_sex("hand-00.png", "male")
        visitor.wait_for_picture("hand-00.png")
        with occupied(server, batch[0], waiting=2):
            visitor.predict("hand-00.png")
            visitor.row("hand-00.png").get_by_text(
                re.compile(r"The server is busy. Trying again in \d+ s.")
            ).wait_for()
        visitor.wait("hand-00.png", "ok")

        visitor.choose_files(*batch[6:])
        page.get_by_role("group", name="Sex of all").get_by_role("button", name="male").last.click()
        page.get_by_role("button", name="Predict all").click()
        visitor.wait("hand-01.png", "ok")
        server.process.kill()
        page.get_by_role("alert").get_by_text("The server does not answer.").wait_for()
        page.get_by_role("button", name="Cancel").wait_for(state="hidden")
        rows = page.locator("li.row").evaluate_all(
            "rows => rows.map(row => [row.dataset.state, row.innerText])"
        )
        lost = [text for state, text in rows if state == "unsent"]
        assert len(lost) > 5
        assert all("The server does not answer." in text for text in lost)
        assert {state for state, _ in rows} <= {"ok", "failed", "unsent"}
        assert "months" in page.locator("#finding").inner_text()  # what has its answer keeps it


def saved(page: Any, kind: str) -> str:
    """The table that the page saves."""
    with page.expect_download() as waiting:
        page.get_by_role("button", name=kind).click()
    return Path(waiting.value.path()).read_text()


@contextmanager
def occupied(server: Server, path: Path, waiting: int) -> Iterator[None]:
    """Let others send one request after the other, 16 radiographs each; begin when so many wait."""
    head = f'--x\r\nContent-Disposition: form-data; name="files"; filename="{path.name}"\r\n\r\n'
    part = head.encode() + path.read_bytes() + b"\r\n"
    sex = b'--x\r\nContent-Disposition: form-data; name="sex"\r\n\r\nmale\r\n'
    request = urllib.request.Request(
        f"{server.url}api/v1/predictions",
        sex + 16 * part + b"--x--\r\n",
        {"Content-Type": "multipart/form-data; boundary=x"},
    )
    enough = threading.Event()

    def send() -> None:
        while not enough.is_set():
            try:
                urllib.request.urlopen(request).close()
            except urllib.error.HTTPError as refusal:  # they are not let in either, and insist
                refusal.close()
                if refusal.code != 429:
                    raise
                enough.wait(0.01)

    # Two, so that radiographs of the one wait while the other begins anew.
    others = [threading.Thread(target=send) for _ in range(2)]
    for other in others:
        other.start()
    try:
        while queue_length(server) < waiting:
            time.sleep(0.02)
        yield
    finally:
        enough.set()
        for other in others:
            other.join()


def queue_length(server: Server) -> float:
    with urllib.request.urlopen(f"{server.url}metrics") as answer:
        found = re.search(r"^boneage_waiting (\S+)$", answer.read().decode(), re.MULTILINE)
    assert found
    return float(found[1])
