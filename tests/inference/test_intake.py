"""The intake gate on phantoms, on what is no hand, and, where they are at hand, on real ones."""

import csv
import itertools
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from boneage.errors import BundleError, SettingsError
from boneage.inference.catalogue import models_at_hand
from boneage.inference.intake import MODEL, Intake, IntakeResult
from boneage.radiographs.phantom import draw_phantom
from boneage.radiographs.radiograph import Radiograph, Sex
from boneage.radiographs.readers import read_radiograph
from boneage.radiographs.turning import turn

AGES_MONTHS = (3, 12, 24, 48, 72, 96, 120, 144, 168, 192, 216, 228)


@pytest.fixture(scope="module")
def gate() -> Intake:
    return Intake.load()


@pytest.fixture(scope="module")
def phantoms() -> list[Radiograph]:
    rng = np.random.default_rng(2024)
    return [
        draw_phantom(months, sex, rng=rng, height_px=300)
        for months in AGES_MONTHS
        for sex in (Sex.FEMALE, Sex.MALE)
    ]


def test_phantoms_of_every_age_pass_and_are_put_upright_from_every_side(
    gate: Intake, phantoms: list[Radiograph]
) -> None:
    for turns in range(4):
        results = [gate(turn(phantom, turns)) for phantom in phantoms]
        assert [result.reason for result in results if result.reason] == []
        assert {result.quarter_turns for result in results} == {-turns % 4}


@pytest.mark.parametrize("angle", [-60, -20, 20, 75, 140])
def test_what_it_finds_puts_a_tilted_hand_upright(
    gate: Intake, phantoms: list[Radiograph], angle: int
) -> None:
    quarter = round(angle / 90)
    for phantom in phantoms[6:18:3]:
        tilted = turn(phantom, quarter % 4, 90 * quarter - angle)
        found = gate(tilted)
        again = gate(turn(tilted, found.quarter_turns, found.tilt_deg))
        assert again.quarter_turns == 0
        assert abs(again.tilt_deg) < 10


def test_mirroring_and_inverting_change_nothing_but_the_sign_of_the_tilt(
    gate: Intake, phantoms: list[Radiograph]
) -> None:
    for phantom in phantoms[::3]:
        usual = gate(phantom)
        mirrored = gate(Radiograph(phantom.pixels[:, ::-1].copy()))
        inverted = gate(Radiograph(255 - phantom.pixels))
        assert [mirrored.reason, inverted.reason] == ["", ""]
        assert mirrored.tilt_deg == pytest.approx(-usual.tilt_deg, abs=12)
        assert inverted.tilt_deg == pytest.approx(usual.tilt_deg, abs=6)


@pytest.mark.parametrize("height", [100, 260, 1000, 2500])
def test_size_and_type_of_the_pixels_make_no_difference(gate: Intake, height: int) -> None:
    drawn = draw_phantom(110, Sex.MALE, rng=np.random.default_rng(5), height_px=height).pixels
    deep = drawn.astype(np.uint16) * 16
    results = [
        gate(Radiograph(pixels)) for pixels in (drawn, deep, (drawn / 255).astype(np.float32))
    ]
    assert {result.reason for result in results} == {""}
    assert np.ptp([result.hand_probability for result in results]) < 0.01
    assert np.ptp([result.tilt_deg for result in results]) < 1


def page_of_text() -> NDArray[np.uint8]:
    page = np.full((900, 640), 255, np.uint8)
    for row in range(40):
        words = "the quick brown fox jumps over the lazy dog"[row % 7 : 30 + row % 11]
        cv2.putText(page, words, (40, 40 + 21 * row), cv2.FONT_HERSHEY_DUPLEX, 0.6, 0, 1)
    return page


def landscape() -> NDArray[np.uint8]:
    rng = np.random.default_rng(3)
    y, x = np.mgrid[0:300, 0:450].astype(np.float32)
    image = 200 - 0.3 * y
    for level in (150, 190, 230):
        ridge = level + 30 * np.sin(x / rng.uniform(15, 60)) + 12 * np.sin(x / 9 + level)
        image = np.where(y > ridge, 320 - level + rng.normal(0, 12, x.shape), image)
    return np.clip(image, 0, 255).astype(np.uint8)


def stripes() -> NDArray[np.uint8]:
    x = np.arange(300)
    return np.tile((127 + 120 * np.sin(x / 9)).astype(np.uint8), (300, 1))


def noise() -> NDArray[np.uint8]:
    return np.random.default_rng(4).integers(0, 256, (400, 300)).astype(np.uint8)


def wedge() -> NDArray[np.uint8]:
    return np.tile(np.arange(256, dtype=np.uint8), (300, 1))


@pytest.mark.parametrize("make", [page_of_text, landscape, stripes, noise, wedge])
@pytest.mark.parametrize("turns", range(4))
def test_what_is_no_radiograph_is_refused(gate: Intake, make: object, turns: int) -> None:
    assert callable(make)
    result = gate(turn(Radiograph(make()), turns))
    assert not result.accepted
    assert "does not look like" in result.reason
    assert result.reason.endswith("to the wrist.")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_an_empty_image_is_refused_as_empty(gate: Intake, dtype: type) -> None:
    assert "empty" in gate(Radiograph(np.full((200, 150), 7, dtype))).reason


def test_values_that_are_not_finite_are_refused(gate: Intake) -> None:
    pixels = np.ones((200, 150), np.float32)
    pixels[3, 4] = np.nan
    assert "not finite" in gate(Radiograph(pixels)).reason


@pytest.mark.parametrize("shape", [(1, 1), (1, 900), (900, 2), (3, 5)])
def test_pictures_of_odd_shapes_are_refused_not_stumbled_over(
    gate: Intake, shape: tuple[int, int]
) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)
    assert not gate(Radiograph(pixels)).accepted


def test_two_hands_are_refused_as_two(gate: Intake, phantoms: list[Radiograph]) -> None:
    reasons = []
    for left, right in itertools.pairwise(phantoms[8:21]):
        width = min(left.width_px, right.width_px)
        both = np.hstack([left.pixels[:, :width], right.pixels[:, width - 1 :: -1]])
        reasons.append(gate(Radiograph(both)).reason)
    assert all(reasons)
    assert sum("more than one hand" in reason for reason in reasons) >= 10


@pytest.mark.parametrize("side", ["fingers", "wrist"])
def test_half_a_hand_is_refused_as_cut(gate: Intake, phantoms: list[Radiograph], side: str) -> None:
    results = []
    for phantom in phantoms[6:]:
        middle = round(phantom.height_px * (0.55 if side == "fingers" else 0.45))
        rest = phantom.pixels[middle:] if side == "fingers" else phantom.pixels[:middle]
        results.append(gate(Radiograph(np.ascontiguousarray(rest))))
    assert sum(not result.accepted for result in results) >= len(results) - 1
    assert sum("missing" in result.reason for result in results) >= len(results) // 2


def test_it_changes_nothing_and_threads_do_not_disturb_each_other(
    gate: Intake, phantoms: list[Radiograph]
) -> None:
    before = [phantom.pixels.copy() for phantom in phantoms]
    alone = [gate(phantom) for phantom in phantoms]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(gate, phantoms * 4))
    assert together == alone * 4
    for phantom, pixels in zip(phantoms, before, strict=True):
        np.testing.assert_array_equal(phantom.pixels, pixels)


def test_its_files_are_no_bundle() -> None:
    assert MODEL.is_file()
    assert [model.path.name for model in models_at_hand() if "intake" in model.path.name] == []
    assert MODEL.stat().st_size < 1_000_000


def test_the_card_says_what_it_may_be_used_for(gate: Intake) -> None:
    assert gate.card["terms"] == "non-commercial research"
    assert {"trained_on", "figures", "limits", "thresholds"} <= set(gate.card)


@pytest.mark.parametrize("change", ["no model", "no card", "broken model", "broken card", "newer"])
def test_a_model_that_cannot_be_used_is_named(tmp_path: Path, change: str) -> None:
    model, card = tmp_path / "other.onnx", tmp_path / "other.json"
    shutil.copy(MODEL, model)
    shutil.copy(MODEL.with_suffix(".json"), card)
    if change.startswith("no"):
        (model if change == "no model" else card).unlink()
    elif change == "newer":
        card.write_text(json.dumps(json.loads(card.read_text()) | {"format_version": 99}))
    else:
        (model if change == "broken model" else card).write_bytes(b"{")
    with pytest.raises(BundleError, match=r"other\.onnx.*Install boneage again"):
        Intake.load(model)


def test_fewer_than_one_thread_is_refused() -> None:
    with pytest.raises(SettingsError, match="threads"):
        Intake.load(threads=0)


@pytest.mark.real_data
def test_real_hands_pass_and_are_put_upright_from_every_side(
    gate: Intake, shared_data: Path
) -> None:
    folder = shared_data / "rsna-100px"
    with (folder / "split.csv").open(newline="") as file:
        ids = [row["id"] for row in csv.DictReader(file) if row["split"] == "val"][::10]
    hands = [read_radiograph(folder / "boneage-training-dataset" / f"{i}.png") for i in ids]
    assert len(hands) == 100
    for turns in range(4):
        results = [gate(turn(hand, turns)) for hand in hands]
        assert sum(not result.accepted for result in results) <= 1
        assert sum(wrong_way(result, turns) for result in results) <= 1


@pytest.mark.real_data
def test_full_size_radiographs_pass_as_their_copies_do(gate: Intake, shared_data: Path) -> None:
    for path in sorted((shared_data / "rsna-originals" / "images").iterdir()):
        result = gate(read_radiograph(path))
        assert result.accepted, (path.name, result)
        assert result.quarter_turns == 0


def wrong_way(result: IntakeResult, turns: int) -> bool:
    return result.quarter_turns != -turns % 4
