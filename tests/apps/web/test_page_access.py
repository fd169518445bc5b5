"""Who can use the page: by axe, at every width, without JavaScript, with a token."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from page_tools import TOKEN, Server, Visitor, serving, write_phantom, write_photograph

from chromium import SCREENS, open_page, violations


@pytest.fixture(scope="module")
def hands(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three drawn hands, one of them with a long name, and a photograph."""
    folder = tmp_path_factory.mktemp("hands")
    name = "a-very-long-name-of-a-radiograph-" + "0123456789" * 8
    hands = [write_phantom(folder / f"{name}.png", at) for at, name in enumerate(["a", "b", name])]
    return [*hands, write_photograph(folder / "photo.png")]


def empty(visitor: Visitor, hands: list[Path]) -> None:
    pass


def worklist(visitor: Visitor, hands: list[Path]) -> None:
    visitor.choose_files(*hands)
    visitor.choose_sex("b.png", "male")
    visitor.predict("a.png")  # has no sex
    visitor.wait("a.png", "unsent")
    visitor.wait_for_picture("a.png")


def result(visitor: Visitor, hands: list[Path]) -> None:
    visitor.choose_files(hands[2])
    name = hands[2].name
    visitor.choose_sex(name, "female")
    visitor.page.get_by_label("Age, years").fill("12")
    visitor.page.get_by_label("Height").fill("150")
    visitor.predict(name)
    visitor.wait(name, "ok")
    visitor.wait_for_picture(name, heat=True)


def refused(visitor: Visitor, hands: list[Path]) -> None:
    visitor.choose_files(hands[3])
    visitor.choose_sex("photo.png", "female")
    visitor.predict("photo.png")
    visitor.wait("photo.png", "refused")
    visitor.wait_for_picture("photo.png")


def question(visitor: Visitor, hands: list[Path]) -> None:
    refused(visitor, hands)
    visitor.page.get_by_role("button", name="Clear list").click()


def help_dialog(visitor: Visitor, hands: list[Path]) -> None:  # noqa: ARG001
    visitor.page.get_by_role("button", name="Help and keys").click()


@pytest.mark.parametrize("state", [empty, worklist, result, refused, question, help_dialog])
def test_it_can_be_used_by_everybody_on_every_screen(
    browser: Any, server: Server, hands: list[Path], state: Any
) -> None:
    with open_page(browser, server.url) as page:
        state(Visitor(page), hands)
        for width, scheme in SCREENS:
            page.set_viewport_size({"width": width, "height": 900})
            page.emulate_media(color_scheme=scheme)
            assert violations(page) == [], (width, scheme)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.get_by_text("Research software, not a medical device.").is_visible()
            assert page.get_by_text("No decision on a patient may rest on it.").is_visible()
            assert too_small(page) == [], (width, scheme)
        # 1280 at 400 % (WCAG 2.2, 1.4.10).
        page.set_viewport_size({"width": 320, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= 320
        assert page.faults == []


def too_small(page: Any) -> list[str]:
    """Targets below 24 by 24 px (WCAG 2.2, 2.5.8); a label belongs to its field."""
    return list(
        page.evaluate(
            """() => [...document.querySelectorAll("button, input, a, [tabindex='0']")]
            .filter((item) => item.checkVisibility() && item.type !== "hidden")
            .filter((item) => {
                const box = (item.closest(".sex label") ?? item).getBoundingClientRect();
                return box.width && (box.width < 24 || box.height < 24);
            })
            .map((item) => item.outerHTML.slice(0, 120))"""
        )
    )


def test_text_of_twice_the_size_fits(browser: Any, server: Server, hands: list[Path]) -> None:
    # Zooming to 200 % halves the width in CSS pixels (WCAG 2.2, 1.4.4).
    with open_page(browser, server.url, 640, device_scale_factor=2) as page:
        result(Visitor(page), hands)
        assert page.evaluate("document.documentElement.scrollWidth") <= 640
        assert violations(page) == []


def test_a_finger_scrolls_the_page_until_the_picture_is_enlarged(
    browser: Any, server: Server, hands: list[Path]
) -> None:
    still = {"has_touch": True, "reduced_motion": "reduce"}  # fingers aim at what does not move
    with open_page(browser, server.url, 390, **still) as page:
        visitor = Visitor(page)
        visitor.choose_files(hands[0])
        visitor.wait_for_picture("a.png")
        visitor.settle()
        action = "getComputedStyle(document.querySelector('.stage')).touchAction"
        assert page.evaluate(action) == "pan-y"
        page.get_by_role("link", name="See the radiograph").tap()
        before = zoom(page)
        pinch(page)
        visitor.settle()
        assert zoom(page) > before
        assert page.evaluate(action) == "none"
        page.get_by_role("link", name="Back to the list").tap()
        assert page.get_by_role("button", name="a.png", exact=True).is_visible()


def zoom(page: Any) -> int:
    return int(page.locator("output.zoom").inner_text().split()[0])


def pinch(page: Any) -> None:
    """Move two fingers apart on the viewer."""
    box = page.get_by_role("application").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    touches = page.context.new_cdp_session(page)
    for kind, apart in (("touchStart", 20), ("touchMove", 40), ("touchMove", 80), ("touchEnd", 0)):
        points = [{"x": x + side * apart, "y": y, "id": side + 1} for side in (-1, 1) if apart]
        touches.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


def test_it_works_without_javascript(browser: Any, server: Server, hands: list[Path]) -> None:
    with open_page(browser, server.url, java_script_enabled=False, accept_downloads=True) as page:
        page.get_by_label("Drop radiographs here").set_input_files([hands[0], hands[3]])
        page.get_by_label("Female", exact=True).check()
        page.get_by_label("Age, years").fill("11")
        page.get_by_role("button", name="Predict", exact=True).click()
        page.locator(".plain-answer").nth(1).wait_for()  # a click may return before the answer
        first, second = page.locator(".plain-answer").all()
        assert "SD score" in first.inner_text()
        assert first.locator("img").count() == 2
        assert "Refused:" in second.inner_text()
        with page.expect_download() as waiting:
            page.get_by_role("button", name="CSV").click()
        lines = Path(waiting.value.path()).read_text().splitlines()
        assert [line.split(",")[2] for line in lines] == ["status", "ok", "refused"]
        page.get_by_role("link", name="Back").click()
        page.wait_for_url(server.url)

        page.get_by_label("Drop radiographs here").set_input_files(hands[0])
        page.get_by_label("Female", exact=True).check()
        page.get_by_label("Height").fill("140")
        page.get_by_label("Age, years").fill("11")
        page.get_by_role("button", name="Report").click()
        page.get_by_role("heading", name="Bone age: a").wait_for()
        page.go_back()
        page.get_by_label("or birth date").fill("2010-01-01")
        page.get_by_role("button", name="Predict", exact=True).click()
        page.get_by_text("Give the age or the birth date, not both.").wait_for()
        assert [url for url in page.asked if not url.startswith((server.url, "data:"))] == []


def test_the_plain_results_can_be_used_by_everybody(
    browser: Any, server: Server, hands: list[Path]
) -> None:
    # axe itself needs JavaScript, so the plain form is sent from a page that has it.
    with open_page(browser, server.url, 390, "dark") as page:
        files = page.locator("#report-form input[type=file]")
        files.evaluate("field => { field.multiple = true; }")
        files.set_input_files([hands[2], hands[3]])
        page.evaluate(
            """() => {
                const form = document.getElementById("report-form");
                Object.assign(form, { action: "/results", target: "_self" });
                form.elements.sex.value = "male";
                form.submit();
            }"""
        )
        page.locator(".plain-answer").first.wait_for()
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.fixture(scope="module")
def guarded() -> Iterator[Server]:
    with serving(token=TOKEN) as running:
        yield running


def test_the_token_lets_in(browser: Any, guarded: Server, hands: list[Path]) -> None:
    with open_page(browser, guarded.url) as page:
        assert page.get_by_role("heading", name="Sign in").is_visible()
        assert violations(page) == []
        field = page.get_by_label("Token of this server")
        field.fill("not-the-token-of-these-tests")
        page.get_by_role("button", name="Sign in").click()
        assert page.get_by_role("alert").inner_text().startswith("This is not the token.")
        assert violations(page) == []
        field.fill(TOKEN)
        page.get_by_role("button", name="Sign in").click()
        visitor = Visitor(page)
        refused(visitor, hands)
        page.context.clear_cookies()  # as when the session has run out
        page.get_by_role("button", name="CSV").click()
        page.get_by_role("alert").get_by_text("You are signed out.").wait_for()
        visitor.choose_files(hands[0])
        visitor.row("a.png").get_by_role("button", name="a.png").click()
        page.locator(".stage-words").get_by_text("You are signed out.").wait_for()
        visitor.choose_sex("a.png", "female")
        visitor.predict("a.png")
        assert "signed out" in visitor.wait("a.png", "unsent").inner_text()
        assert violations(page) == []
        with page.context.expect_page() as opened:
            page.get_by_role("alert").get_by_role("link", name="Sign in").click()
        opened.value.get_by_label("Token of this server").fill(TOKEN)
        opened.value.get_by_role("button", name="Sign in").click()
        opened.value.get_by_role("button", name="Sign out").wait_for()
        visitor.predict("a.png")
        visitor.wait("a.png", "ok")
        visitor.wait_for_picture("a.png", heat=True)
        with page.expect_download() as waiting:  # the list is still there
            page.get_by_role("button", name="CSV").click()
        lines = Path(waiting.value.path()).read_text().splitlines()
        assert [line.split(",")[2] for line in lines] == ["status", "refused", "ok"]


def test_no_sex_is_set_for_files_whose_header_was_not_read(
    browser: Any, guarded: Server, hands: list[Path], tmp_path: Path
) -> None:
    with open_page(browser, guarded.url) as page:
        page.get_by_label("Token of this server").fill(TOKEN)
        page.get_by_role("button", name="Sign in").click()
        page.locator("html[data-ready]").wait_for(state="attached")
        page.context.clear_cookies()
        unread = tmp_path / "unread.dcm"
        unread.write_bytes(128 * b"\0" + b"DICM")
        visitor = Visitor(page)
        visitor.choose_files(unread, *hands[:2])
        page.get_by_role("group", name="Sex of all").get_by_role("button", name="female").click()
        assert visitor.row("a.png").get_by_role("radio", name="Female").is_checked()
        row = visitor.row("unread.dcm")
        assert not row.get_by_role("radio", name="Female").is_checked()
        assert "What the file says of it could not be read." in row.inner_text()


def test_signing_out_ends_it(browser: Any, guarded: Server) -> None:
    with open_page(browser, guarded.url) as page:
        page.get_by_label("Token of this server").fill(TOKEN)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("button", name="Sign out").click()
        page.get_by_role("heading", name="Sign in").wait_for()
        page.goto(guarded.url)
        assert page.get_by_role("heading", name="Sign in").is_visible()
