"""The page as people use it: a real server, a real Chromium, real files."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from dicom_files import hand_dataset
from page_tools import Server, Visitor, write_damaged, write_phantom, write_photograph

from boneage.inference.rows import read_rows
from boneage.radiographs.phantom import draw_phantom
from boneage.radiographs.radiograph import Sex
from boneage.reports.words import years_and_months
from chromium import open_page


@pytest.fixture
def visitor(browser: Any, server: Server) -> Iterator[Visitor]:
    """Somebody who has just opened the page; nothing may come from elsewhere or go wrong in it."""
    with open_page(browser, server.url, accept_downloads=True) as page:
        yield Visitor(page)
        assert page.faults == []
        elsewhere = [
            url for url in page.asked if not url.startswith((server.url, "data:", "blob:"))
        ]
        assert elsewhere == []


@pytest.fixture(params=["rsna-originals/images", "rsna-100px/boneage-training-dataset"])
def radiograph(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """One of full resolution, one of about 100 px: real where they are there, else drawn ones."""
    copy = tmp_path / "1511.png"
    try:
        found = request.getfixturevalue("shared_data") / request.param / copy.name
    except pytest.skip.Exception:
        return write_phantom(copy, height_px=2000 if "originals" in request.param else 100)
    copy.write_bytes(found.read_bytes())
    return copy


def test_the_whole_way_of_a_user(
    visitor: Visitor, radiograph: Path, run_cli: Any, tmp_path: Path
) -> None:
    page, name = visitor.page, radiograph.name
    visitor.drop_files(radiograph)
    visitor.wait_for_picture(name)
    assert "never guessed" in visitor.row(name).inner_text()
    visitor.choose_sex(name, "male")
    page.get_by_label("Age, years").fill("6")
    page.get_by_label("Age, further months").fill("6")
    page.get_by_label("Height").fill("118")
    visitor.predict(name)
    visitor.wait(name, "ok")
    visitor.wait_for_picture(name, heat=True)

    done = run_cli("predict", name, "--sex", "male", "--out", "ages.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    (expected,) = [row.values() for row in read_rows(tmp_path / "ages.csv")]
    months = expected["bone_age_months"]
    finding = page.locator("#finding").inner_text()
    assert f"{months:.1f} months" in finding
    assert years_and_months(months) in finding
    assert f"{expected['lower_months']:.1f} to {expected['upper_months']:.1f} months" in finding
    assert "90\N{NO-BREAK SPACE}% interval" in finding
    assert "78.0 months" in finding
    assert "SD score" in finding
    assert page.locator(".bar .model").inner_text() in finding
    scale = page.locator("svg.age-scale")
    assert years_and_months(months) in scale.get_attribute("aria-label")
    assert years_and_months(months) in visitor.row(name).inner_text()

    saved = {}
    for kind in ("CSV", "JSON"):
        with page.expect_download() as waiting:
            page.get_by_role("button", name=kind).click()
        assert waiting.value.suggested_filename == f"bone-ages.{kind.lower()}"
        saved[kind] = Path(waiting.value.path()).read_bytes()
    assert saved["CSV"] == (tmp_path / "ages.csv").read_bytes()
    assert json.loads(saved["JSON"]) == [expected]

    with page.context.expect_page() as opened:
        page.get_by_role("button", name="Open report").click()
    report = opened.value
    report.wait_for_load_state()
    text = report.locator("body").inner_text()
    assert f"({months:.1f} months)" in text
    assert "78.0 months (6 y 6 m)".replace(" y ", "\xa0y\xa0").replace(" m)", "\xa0m)") in text
    assert report.locator("img").count() == 2
    body = report.locator("body")
    assert body.evaluate("item => getComputedStyle(item).maxWidth") != "none"  # its own style holds
    report.close()
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Save report").click()
    assert waiting.value.suggested_filename == f"bone-age-{radiograph.stem}.html"


def test_the_view_follows_mouse_keys_and_sliders(visitor: Visitor, tmp_path: Path) -> None:
    page = visitor.page
    hand = write_phantom(tmp_path / "hand.png")
    visitor.choose_files(hand)
    visitor.choose_sex(hand.name, "female")
    visitor.predict(hand.name)
    visitor.wait_for_picture(hand.name, heat=True)
    stage = page.get_by_role("application", name="Radiograph viewer")
    box = stage.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    before = visitor.canvas()

    def changed() -> bool:
        """Whether the canvas has changed since the last time, by what an eye can see."""
        nonlocal before
        now = visitor.canvas()
        answer = bool(np.abs(now - before).mean() > 0.2)
        before = now
        return answer

    def drag(right: int, down: int, **options: Any) -> None:
        page.mouse.move(x, y)
        page.mouse.down(**options)
        page.mouse.move(x + right, y + down, steps=3)
        page.mouse.up(**options)

    page.mouse.move(x, y)
    page.mouse.wheel(0, -300)
    assert changed()
    drag(60, 40)
    assert changed()
    drag(-120, 0, button="right")
    assert changed()
    page.keyboard.down("Shift")
    drag(0, 80)
    page.keyboard.up("Shift")
    assert changed()
    stage.dblclick()
    assert changed()
    stage.focus()
    for key in (
        "-",
        "+",
        "ArrowLeft",
        "ArrowDown",
        "Shift+ArrowLeft",
        "Shift+ArrowUp",
        "i",
        "h",
        "1",
        "0",
        "r",
    ):
        page.keyboard.press(key)
        assert changed() or key in ("1", "0"), key
    for label, value in (("Window", "9000"), ("Level", "30000"), ("Heat map", "100")):
        page.get_by_label(label, exact=True).fill(value)
        assert changed(), label
    for button in ("Zoom in", "Zoom out", "Invert", "Reset", "1:1", "Fit"):
        page.get_by_role("button", name=button, exact=True).click()
        assert changed() or button in ("1:1", "Fit"), button


def test_a_screen_reader_hears_only_what_has_changed(visitor: Visitor, tmp_path: Path) -> None:
    page = visitor.page
    hand = write_phantom(tmp_path / "hand.png")
    visitor.choose_files(hand)
    visitor.wait_for_picture(hand.name)
    page.evaluate(
        """() => {
            window.written = [];
            for (const place of document.querySelectorAll("output, [role=status]")) {
                new MutationObserver(() => window.written.push(place.className || place.htmlFor[0]))
                    .observe(place, { childList: true, characterData: true, subtree: true });
            }
        }"""
    )
    page.get_by_role("application", name="Radiograph viewer").focus()
    page.keyboard.press("+")
    visitor.settle()
    assert page.evaluate("window.written") == ["zoom"]
    for _ in range(5):
        page.keyboard.press("ArrowLeft")
        visitor.settle()
    assert page.evaluate("window.written") == ["zoom"]
    page.keyboard.press("Shift+ArrowUp")
    visitor.settle()
    assert page.evaluate("window.written") == ["zoom", "slide-level"]
    sliders = page.locator("output[for]")
    assert {item.get_attribute("aria-live") for item in sliders.all()} == {"off"}


def test_what_the_opacity_does_is_in_colour(visitor: Visitor, tmp_path: Path) -> None:
    hand = write_phantom(tmp_path / "hand.png")
    visitor.choose_files(hand)
    visitor.wait_for_picture(hand.name)
    assert np.ptp(visitor.canvas(), axis=-1).max() == 0  # grey, before there is an answer
    visitor.choose_sex(hand.name, "female")
    visitor.predict(hand.name)
    visitor.wait_for_picture(hand.name, heat=True)
    colours = []
    for opacity in ("0", "40", "90"):
        visitor.page.get_by_label("Heat map").fill(opacity)
        colours.append(float(np.ptp(visitor.canvas(), axis=-1).mean()))
    assert colours[0] == 0
    assert 0 < colours[0] + 1 < colours[1] + 1 < colours[2] + 1


def test_window_and_level_work_on_all_sixteen_bits(visitor: Visitor, tmp_path: Path) -> None:
    ramp = np.tile(np.arange(30_000, 30_200, dtype=np.uint16), (200, 1))
    ramp[:20, :20], ramp[-20:, -20:] = 0, 65535
    cv2.imwrite(str(tmp_path / "ramp.tif"), ramp)
    visitor.choose_files(tmp_path / "ramp.tif")
    visitor.wait_for_picture("ramp.tif")
    visitor.page.get_by_label("Window").fill("257")
    visitor.page.get_by_label("Level").fill("30100")
    grey = np.unique(visitor.canvas())
    assert len(grey) > 150  # with the high byte alone there were three


def test_the_picture_is_always_of_the_chosen_row(visitor: Visitor, tmp_path: Path) -> None:
    left, right = np.zeros((400, 400), np.uint8), np.zeros((400, 400), np.uint8)
    left[:, :150], right[:, 250:] = 255, 255
    cv2.imwrite(str(tmp_path / "left.png"), left)
    cv2.imwrite(str(tmp_path / "right.png"), right)
    page = visitor.page
    visitor.choose_files(tmp_path / "left.png", tmp_path / "right.png")
    visitor.wait_for_picture("left.png")
    page.evaluate(
        """() => {
            window.seen = [];
            const viewer = document.getElementById("viewer");
            const canvas = viewer.querySelector("canvas");
            const probe = new OffscreenCanvas(10, 1).getContext("2d", { willReadFrequently: true });
            const at = (place) => {
                probe.drawImage(canvas, 0, 0, 10, 1);
                return probe.getImageData(place, 0, 1, 1).data[0];
            };
            const look = () => {
                const name = viewer.dataset.shown;
                if (name) window.seen.push([name, at(2), at(7)]);
            };
            const later = () => requestAnimationFrame(() => requestAnimationFrame(look));
            new MutationObserver(later).observe(viewer, { attributeFilter: ["data-shown"] });
        }"""
    )
    visitor.row("left.png").get_by_role("button", name="left.png").focus()
    for key in ("ArrowDown", "ArrowUp", "ArrowDown", "ArrowUp"):
        page.keyboard.press(key)  # faster than pictures come
    visitor.wait_for_picture("left.png")
    page.wait_for_load_state("networkidle")
    for name, at_left, at_right in page.evaluate("window.seen"):
        assert (at_left > at_right) == (name == "left.png")


def test_an_answer_leaves_the_view_as_it_is(visitor: Visitor, tmp_path: Path) -> None:
    hand = write_phantom(tmp_path / "hand.png")
    page = visitor.page
    visitor.choose_files(hand)
    visitor.wait_for_picture(hand.name)
    for _ in range(3):
        page.get_by_role("button", name="Zoom in").click()
    page.get_by_label("Window").fill("9000")
    visitor.settle()
    before = [item.inner_text() for item in page.locator(".viewer output").all()[:3]]
    visitor.choose_sex(hand.name, "female")
    visitor.predict(hand.name)
    visitor.wait_for_picture(hand.name, heat=True)
    visitor.settle()
    assert [item.inner_text() for item in page.locator(".viewer output").all()[:3]] == before


def test_a_dicom_file_fills_in_what_it_says(visitor: Visitor, tmp_path: Path) -> None:
    pixels = draw_phantom(124.0, Sex.FEMALE, rng=np.random.default_rng(5), height_px=600).pixels
    dataset = hand_dataset(
        pixels, PatientSex="F", PatientBirthDate="20100301", AcquisitionDate="20200301"
    )
    dataset.save_as(tmp_path / "hand.dcm", enforce_file_format=True)
    page = visitor.page
    visitor.choose_files(tmp_path / "hand.dcm")
    page.get_by_text("The file says: female, 10 y 0 m, radiograph of 2020-03-01.").wait_for()
    row = visitor.row("hand.dcm")
    assert row.get_by_role("radio", name="Female", exact=True).is_checked()
    assert page.get_by_label("Age, years").input_value() == "10"
    visitor.predict("hand.dcm")
    visitor.wait("hand.dcm", "ok")
    assert "120.0 months" in page.locator("#finding").inner_text()
    visitor.choose_sex("hand.dcm", "male")
    assert "No answer yet" in page.locator("#finding").inner_text()  # it was for a girl
    visitor.predict("hand.dcm")
    visitor.wait("hand.dcm", "ok")
    assert (
        "the sex given is male, but the file says female" in page.locator("#finding").inner_text()
    )


def write_boy(path: Path) -> Path:
    """A drawn hand in a DICOM file that says it is a boy's."""
    pixels = draw_phantom(124.0, Sex.MALE, rng=np.random.default_rng(5), height_px=600).pixels
    dataset = hand_dataset(pixels, PatientSex="M", PatientAge="010Y", AcquisitionDate="20200301")
    dataset.save_as(path, enforce_file_format=True)
    return path


def test_the_sex_of_the_rest_is_not_that_of_files_that_say_it(
    visitor: Visitor, tmp_path: Path
) -> None:
    page = visitor.page
    boys = [write_boy(tmp_path / f"boy-{at}.dcm") for at in range(12)]
    silent = [write_phantom(tmp_path / f"silent-{at}.png") for at in range(2)]
    visitor.choose_files(*boys, *silent)
    group = page.get_by_role("group", name="Sex of all")
    group.get_by_role("button", name="female").click()  # as soon as it is there
    page.wait_for_load_state("networkidle")
    chosen = page.locator("li.row form").evaluate_all("rows => rows.map(row => row.sex.value)")
    assert chosen == 12 * ["male"] + 2 * ["female"]


def test_a_sex_that_the_file_does_not_say_is_told_before_and_after(
    visitor: Visitor, tmp_path: Path
) -> None:
    boy = write_boy(tmp_path / "boy.dcm")
    visitor.choose_files(boy)
    row = visitor.row(boy.name)
    row.get_by_text("The file says: male").wait_for()
    doubt = row.get_by_text("The file says male, but female is chosen.")
    assert not doubt.is_visible()
    visitor.choose_sex(boy.name, "female")
    assert doubt.is_visible()
    assert "The file says male" in visitor.page.locator("#spoken").inner_text()
    visitor.predict(boy.name)
    visitor.wait(boy.name, "ok")
    assert "the sex given is female, but the file says male" in row.inner_text()


def test_an_age_from_the_file_is_sent_as_such_until_it_is_changed(
    visitor: Visitor, tmp_path: Path
) -> None:
    page = visitor.page
    boy = write_boy(tmp_path / "boy.dcm")
    visitor.choose_files(boy)
    row = visitor.row(boy.name)
    row.get_by_text("From the file: sex and age.").wait_for()
    page.get_by_label("Height").fill("130")
    row.get_by_text("From the file: sex and age.").wait_for()
    sent = sent_with(visitor, "Predict")
    assert sent["age_source"] == "file"
    assert (sent["age_years"], sent["height_cm"]) == ("10", "130")
    visitor.wait(boy.name, "ok")
    assert "from the file" in page.locator("#finding").inner_text()
    visitor.wait_for_picture(boy.name, heat=True)
    with page.context.expect_page() as opened:
        assert sent_with(visitor, "Open report")["age_source"] == "file"
    opened.value.close()
    page.get_by_label("Age, further months").fill("6")
    row.get_by_text("From the file: sex.").wait_for()
    assert sent_with(visitor, "Predict")["age_source"] == ""
    visitor.wait(boy.name, "ok")
    assert "126.0 months" in page.locator("#finding").inner_text()
    assert "from the file" not in page.locator("#finding").inner_text()


def sent_with(visitor: Visitor, button: str) -> dict[str, str]:
    """The fields that a button sends, without the file."""
    visitor.page.evaluate(
        """() => document.addEventListener("formdata", ({ formData }) => {
            window.sent = [...formData].filter(([, value]) => typeof value === "string");
        }, { once: true })"""
    )
    visitor.page.get_by_role("button", name=button, exact=True).click()
    return dict(visitor.page.evaluate("window.sent"))


def test_a_row_says_why_it_has_no_number(visitor: Visitor, tmp_path: Path) -> None:
    hand, photograph, damaged = (tmp_path / f"{name}.png" for name in ("hand", "photo", "damaged"))
    write_phantom(hand)
    write_photograph(photograph)
    write_damaged(damaged)
    page = visitor.page
    visitor.choose_files(hand, photograph, damaged)
    for name in ("photo.png", "damaged.png"):
        visitor.choose_sex(name, "male")
    page.get_by_role("button", name="Predict all").click()
    assert "choose the sex first" in visitor.wait("hand.png", "unsent").inner_text()
    assert "does not look like a radiograph" in visitor.wait("photo.png", "refused").inner_text()
    assert "cut short" in visitor.wait("damaged.png", "failed").inner_text()
    sent = [url for url in page.asked if url.endswith("/results")]
    assert len(sent) == 2
    page.get_by_text("3 radiographs: 1 refused, 1 failed, 1 without sex.").wait_for()

    visitor.row("photo.png").get_by_role("button", name="photo.png").click()
    visitor.wait_for_picture("photo.png")
    assert "Refused: this does not look" in page.locator("#finding").inner_text()
    visitor.row("damaged.png").get_by_role("button", name="damaged.png").click()
    page.locator(".stage-words").get_by_text("cut short").wait_for()
    with page.expect_download() as waiting:
        page.get_by_role("button", name="CSV").click()
    with open(waiting.value.path(), newline="", encoding="utf-8") as stream:
        statuses = [(row["id"], row["status"]) for row in csv.DictReader(stream)]
    assert statuses == [("photo", "refused"), ("damaged", "failed")]


def test_what_cannot_be_is_told_before_it_is_sent(visitor: Visitor, tmp_path: Path) -> None:
    hand = write_phantom(tmp_path / "hand.png")
    page = visitor.page
    visitor.choose_files(hand)
    visitor.choose_sex(hand.name, "female")
    page.get_by_label("Height").fill("20")
    visitor.predict(hand.name)
    assert "Height" in visitor.wait(hand.name, "unsent").inner_text()
    page.get_by_label("Height").fill("")
    page.get_by_label("or birth date").fill("2012-05-01")
    visitor.predict(hand.name)
    told = "Say on which day the radiograph was taken."
    visitor.row(hand.name).get_by_text(told).wait_for()
    page.get_by_label("with day of radiograph").fill("2022-05-01")
    visitor.predict(hand.name)
    visitor.wait(hand.name, "ok")
    assert "from the birth date" in page.locator("#finding").inner_text()


def test_a_file_that_is_gone_is_no_lost_server(visitor: Visitor, tmp_path: Path) -> None:
    hand = write_phantom(tmp_path / "hand.png")
    visitor.choose_files(hand)
    visitor.wait_for_picture(hand.name)
    visitor.choose_sex(hand.name, "female")
    hand.unlink()
    visitor.predict(hand.name)
    assert "Cannot be read here" in visitor.wait(hand.name, "unsent").inner_text()
    assert not visitor.page.locator("#trouble").is_visible()
    visitor.page.faults.clear()  # the browser and htmx say that a request failed


def test_no_answer_goes_without_a_question(visitor: Visitor, tmp_path: Path) -> None:
    page = visitor.page
    hand = write_phantom(tmp_path / "hand.png")
    asked: list[str] = []

    def stay(dialog: Any) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    visitor.choose_files(hand)
    finding = page.locator("#finding")
    finding.get_by_text("No answer yet. Choose the sex in the list, then predict.").wait_for()
    visitor.choose_sex(hand.name, "female")
    finding.get_by_text("No answer yet. Predict it in the list.").wait_for()
    visitor.predict(hand.name)
    visitor.wait(hand.name, "ok")
    visitor.wait_for_picture(hand.name, heat=True)
    with page.expect_event("dialog"):
        page.evaluate("location.assign('/health')")
    assert asked == ["beforeunload"]
    clear = page.get_by_role("button", name="Clear list", exact=True).first
    clear.click()
    question = page.get_by_role("alertdialog", name="Clear the list?")
    assert "Answers in the list: 1. In no saved table: 1." in question.inner_text()
    page.keyboard.press("Escape")
    assert visitor.row(hand.name).is_visible()
    clear.click()
    question.get_by_role("button", name="Keep").click()
    assert visitor.row(hand.name).is_visible()
    with page.expect_download():
        page.get_by_role("button", name="CSV").click()
    clear.click()
    assert "Answers in the list: 1. In no saved table: 0." in question.inner_text()
    question.get_by_role("button", name="Clear list").click()
    visitor.row(hand.name).wait_for(state="detached")
    page.goto(visitor.page.url)  # nothing is left to ask about
    assert asked == ["beforeunload"]


def test_it_is_used_by_keyboard_alone(visitor: Visitor, tmp_path: Path) -> None:
    page = visitor.page
    first, second = (write_phantom(tmp_path / f"{name}.png", 3) for name in "ab")
    visitor.choose_files(first, second)
    visitor.row("a.png").get_by_role("button", name="a.png").focus()
    page.keyboard.press("ArrowDown")
    visitor.wait_for_picture("b.png")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.type("9")
    page.keyboard.press("Enter")
    row = visitor.wait("b.png", "ok")
    assert row.get_by_role("radio", name="Female", exact=True).is_checked()
    spoken = page.locator("#spoken").inner_text()  # what a screen reader is told
    assert spoken.startswith("b.png: ")
    assert "months" in spoken
    row.get_by_role("button", name="b.png").focus()
    page.keyboard.press("?")
    assert page.get_by_role("dialog", name="Help and keys").is_visible()
    page.keyboard.press("Escape")
    assert not page.get_by_role("dialog", name="Help and keys").is_visible()
    page.keyboard.press("Delete")
    assert page.get_by_role("alertdialog", name="Remove b.png?").is_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="b.png", exact=True).wait_for(state="detached")
    assert page.evaluate("document.activeElement.textContent") == "a.png"
