"""Pages in a real Chromium: what a person sees, what they ask the network for, what axe says."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

SCREENS = [(width, scheme) for width in (390, 820, 1280) for scheme in ("light", "dark")]
"""Widths of a telephone, a tablet and a desk, each in light and in dark."""

# The page is local, so nothing is to be looked up, fetched or updated.
_SWITCHES = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@contextmanager
def open_browser() -> Iterator[Any]:
    """Start Debian's Chromium; skip the test, visibly, where it or Playwright is missing."""
    playwright = pytest.importorskip("playwright.sync_api")
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.skip("no chromium on this machine (Debian: apt-get install chromium)")
    with playwright.sync_playwright() as engines:
        browser = engines.chromium.launch(executable_path=found, args=_SWITCHES)
        yield browser
        browser.close()


@contextmanager
def open_page(
    browser: Any, place: Path | str, width: int = 1280, scheme: str = "light", **options: Any
) -> Iterator[Any]:
    """Open a file or an http address at a width, in a colour scheme.

    ``page.asked`` lists all that it asked for, ``page.faults`` what its console and its own policy
    complained of. ``options`` are those of Playwright's ``new_context``.
    """
    # axe runs as a script in the page, whose own policy, in a file, forbids all of them.
    is_file = isinstance(place, Path)
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme=scheme,
        **{"bypass_csp": is_file, **options},
    )
    page = context.new_page()
    page.asked, page.faults = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on(
        "console", lambda said: said.type in ("error", "warning") and page.faults.append(said.text)
    )
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.goto(place.as_uri() if isinstance(place, Path) else place)
    yield page
    context.close()


def violations(page: Any) -> list[str]:
    """What axe finds, one line for each kind with the first element that it is about."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [f"{item['impact']} {item['id']}: {item['nodes'][0]['html']}" for item in found]


def sheets(page: Any) -> int:
    """On how many sheets it prints, by its own rules on paper."""
    pdf = page.pdf(prefer_css_page_size=True)
    return len(re.findall(rb"/Type\s*/Page\b(?!s)", pdf))
