"""A real ``boneage serve`` and what people do with its page in a real Chromium."""

import os
import re
import signal
import subprocess
import sys
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from boneage.radiographs.phantom import draw_phantom
from boneage.radiographs.radiograph import Sex

REPOSITORY = Path(__file__).resolve().parents[3]
TOKEN = "a-token-of-these-tests-0123"


class Server:
    """A running server.

    Attributes:
        url: Its address, with a slash at the end.
        process: The process.
    """

    def __init__(self, url: str, process: "subprocess.Popen[str]") -> None:
        self.url, self.process = url, process

    def stop(self) -> None:
        """End it as Control-C does."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


@contextmanager
def serving(*options: str, token: str = "") -> Iterator[Server]:
    """Start ``boneage serve`` on a free port of loopback and wait until it answers."""
    surroundings = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src"), "NO_COLOR": "1"}
    if token:
        surroundings["BONEAGE_TOKEN"] = token
    command = [sys.executable, "-m", "boneage", "serve", "--port", "0", "--workers", "1", *options]
    process = subprocess.Popen(command, env=surroundings, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout as stream:
        found = re.search(r"http://\S+", stream.readline())
        assert found, "the server did not start"
        server = Server(found[0], process)
        try:
            yield server
        finally:
            server.stop()


def write_phantom(path: Path, seed: int = 5, height_px: int = 600) -> Path:
    """A drawn hand of 16 bits as a PNG or TIFF file."""
    rng = np.random.default_rng(seed)
    drawn = draw_phantom(124.0, Sex.FEMALE, rng=rng, height_px=height_px).pixels
    if drawn.dtype == np.uint8 and path.suffix != ".jpg":
        drawn = drawn.astype(np.uint16) * 257
    path.write_bytes(cv2.imencode(path.suffix, drawn)[1].tobytes())
    return path


def write_photograph(path: Path) -> Path:
    """Speckle without a hand, which the intake gate refuses."""
    noise = np.random.default_rng(5).integers(0, 255, (600, 450), np.uint8)
    path.write_bytes(cv2.imencode(path.suffix, noise)[1].tobytes())
    return path


def write_damaged(path: Path) -> Path:
    """The first half of a PNG file."""
    whole = write_phantom(path).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    return path


class Visitor:
    """What somebody does on the page, by what they see and hear of it."""

    def __init__(self, page: Any) -> None:
        self.page = page

    def choose_files(self, *paths: Path) -> None:
        """By the file field, as the dialog of the browser fills it."""
        self.page.locator("html[data-ready]").wait_for(state="attached")
        self.page.get_by_label("Drop radiographs here, or choose files").set_input_files(
            [str(path) for path in paths]
        )

    def drop_files(self, *paths: Path) -> None:
        """Onto the page, with the events that a drag from a desktop gives."""
        self.page.locator("html[data-ready]").wait_for(state="attached")
        files = [
            {"name": path.name, "data": b64encode(path.read_bytes()).decode()} for path in paths
        ]
        self.page.evaluate(
            """(files) => {
                const dataTransfer = new DataTransfer();
                for (const { name, data } of files) {
                    const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
                    dataTransfer.items.add(new File([bytes], name));
                }
                for (const kind of ["dragenter", "dragover", "drop"]) {
                    document.body.dispatchEvent(
                        new DragEvent(kind, { dataTransfer, bubbles: true, cancelable: true }));
                }
            }""",
            files,
        )

    def row(self, name: str) -> Any:
        """The row of a file."""
        return self.page.locator("li.row").filter(
            has=self.page.get_by_role("button", name=name, exact=True)
        )

    def choose_sex(self, name: str, sex: str) -> None:
        self.row(name).get_by_role("radio", name=sex.capitalize(), exact=True).check()

    def predict(self, name: str) -> None:
        self.row(name).get_by_role("button", name="Predict", exact=True).click()

    def wait(self, name: str, state: str) -> Any:
        """Wait until a row is in a state, and give it."""
        row = self.row(name)
        row.and_(self.page.locator(f'[data-state="{state}"]')).wait_for()
        return row

    def wait_for_picture(self, name: str, *, heat: bool = False) -> None:
        """Wait until the viewer shows a radiograph."""
        self.page.locator(f'#viewer[data-shown="{name}"]').wait_for()
        if heat:
            self.page.get_by_label("Heat map").wait_for()
        self.settle()

    def settle(self) -> None:
        """Wait until what was asked of the canvas is drawn: two frames later it is."""
        self.page.evaluate(
            "() => new Promise(d => requestAnimationFrame(() => requestAnimationFrame(d)))"
        )

    def canvas(self) -> np.ndarray[Any, Any]:
        """What the canvas shows, shape (height, width, 3), as signed numbers to reckon with."""
        self.settle()
        data = self.page.evaluate("document.querySelector('canvas').toDataURL()")
        png = np.frombuffer(b64decode(data.split(",")[1]), np.uint8)
        return np.asarray(cv2.imdecode(png, cv2.IMREAD_COLOR), np.int16)
