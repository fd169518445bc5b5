import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boneage.errors import SettingsError
from boneage.radiographs.crop import Box, crop
from boneage.radiographs.intensity import normalise


def draw_hand(
    *, background: float = 0.05, tissue: float = 0.5, angle: float = 0, frame: bool = False
) -> tuple[np.ndarray, tuple[int, int, int, int]]:
    """A hand of ellipses with its forearm; also the box around fingers and palm, x0 y0 x1 y1."""
    height, width = 400, 340
    soft, hand = np.zeros((height, width), np.uint8), np.zeros((height, width), np.uint8)
    turn = cv2.getRotationMatrix2D((170, 200), angle, 1)

    def line(canvas: np.ndarray, start: tuple[int, int], end: tuple[int, int], thick: int) -> None:
        a, b = ((turn @ (*point, 1)).round().astype(int).tolist() for point in (start, end))
        cv2.line(canvas, a, b, 1, thick)

    for tip in ((95, 120), (135, 85), (172, 75), (208, 95), (262, 190)):
        line(hand, (170, 235), tip, 18)
    line(hand, (165, 215), (168, 245), 78)
    soft |= hand
    line(soft, (168, 250), (168, 500), 50)
    image = np.full((height, width), background, np.float32)
    image[soft > 0] = tissue
    image[cv2.erode(soft, np.ones((9, 9), np.uint8)) > 0] *= 1.3
    image[30:62, 20:25] = image[57:62, 20:40] = 1.0  # the marker letter L
    if frame:
        image[:8] = image[-8:] = image[:, :8] = image[:, -8:] = 0.9
    image += np.random.default_rng(0).normal(0, 0.004, image.shape).astype(np.float32)
    rows, columns = np.flatnonzero(hand.any(axis=1)), np.flatnonzero(hand.any(axis=0))
    box = int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
    return np.clip(image, 0, 1), box


def inside(box: Box, hand: tuple[int, int, int, int]) -> float:
    x0, y0, x1, y1 = hand
    across = max(0, min(x1, box.left_px + box.width_px) - max(x0, box.left_px))
    down = max(0, min(y1, box.top_px + box.height_px) - max(y0, box.top_px))
    return across * down / ((x1 - x0) * (y1 - y0))


def assert_found(image: np.ndarray, hand: tuple[int, int, int, int], most: float = 1.7) -> Box:
    found = crop(image)
    assert not found.fallback
    assert found.reason == ""
    assert inside(found.box, hand) >= 0.97
    area = (hand[2] - hand[0]) * (hand[3] - hand[1])
    assert found.box.width_px * found.box.height_px <= most * area
    return found.box


@pytest.mark.parametrize("background", [0.0, 0.05, 0.3])
@pytest.mark.parametrize("frame", [False, True])
def test_the_hand_is_found_not_the_frame_or_the_letter(background: float, frame: bool) -> None:
    image, hand = draw_hand(background=background, frame=frame)
    assert_found(image, hand)


def test_a_hand_far_darker_than_its_marker_is_found() -> None:
    image, hand = draw_hand(tissue=0.13)
    assert_found(image, hand)


@settings(max_examples=12, deadline=None)
@given(st.integers(-180, 180), st.booleans())
def test_the_hand_is_found_at_any_angle(angle: int, mirrored: bool) -> None:
    image, (x0, y0, x1, y1) = draw_hand(angle=angle)
    if mirrored:
        image, (x0, x1) = image[:, ::-1].copy(), (image.shape[1] - x1, image.shape[1] - x0)
    assert_found(image, (x0, y0, x1, y1), most=2.2)


def overlap(a: Box, b: Box) -> float:
    """Shared area of two boxes over the area of both."""
    other = b.left_px, b.top_px, b.left_px + b.width_px, b.top_px + b.height_px
    shared = inside(a, other) * b.width_px * b.height_px
    return shared / (a.width_px * a.height_px + b.width_px * b.height_px - shared)


@settings(max_examples=12, deadline=None)
@given(st.floats(0.5, 2), st.sampled_from([0.2, 0.4, 0.6]))
def test_a_gamma_curve_leaves_the_crop_where_it_was_on_a_levelled_tone(
    exponent: float, tissue: float
) -> None:
    image, hand = draw_hand(tissue=tissue)
    before = crop(image, level_tone=True)
    after = crop(np.power(image, np.float32(exponent)), level_tone=True)
    assert inside(before.box, hand) >= 0.97
    assert not before.fallback
    assert not after.fallback
    assert overlap(before.box, after.box) >= 0.9


@settings(max_examples=12, deadline=None)
@given(*[st.integers(0, 60)] * 4)
def test_a_black_border_does_not_move_the_hand(
    top: int, bottom: int, left: int, right: int
) -> None:
    image, hand = draw_hand()
    image[image < 0.06] = 0
    before = assert_found(image, hand)
    padded = np.pad(image, ((top, bottom), (left, right)))
    after = crop(padded).box
    edges = [
        (after.left_px - left, before.left_px),
        (after.top_px - top, before.top_px),
        (after.left_px - left + after.width_px, before.left_px + before.width_px),
    ]
    assert all(abs(a - b) <= 14 for a, b in edges)


def test_a_copy_of_another_size_gives_the_same_box() -> None:
    image, hand = draw_hand()
    box = assert_found(image, hand)
    for factor in (0.35, 4.0):
        copy = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        other = crop(copy).box
        for name in ("left_px", "top_px", "width_px", "height_px"):
            assert getattr(other, name) / factor == pytest.approx(getattr(box, name), abs=12)


@settings(deadline=None)
@given(
    st.integers(1, 80), st.integers(1, 80), st.integers(0, 1000), st.floats(0, 0.5), st.booleans()
)
def test_the_box_lies_inside_any_image(
    height: int, width: int, seed: int, margin: float, level_tone: bool
) -> None:
    image = np.random.default_rng(seed).random((height, width), dtype=np.float32)
    before = image.copy()
    found = crop(image, margin, level_tone=level_tone)
    assert found.box.left_px + found.box.width_px <= width
    assert found.box.top_px + found.box.height_px <= height
    assert np.array_equal(found.image, image[found.box.slices])
    assert not np.shares_memory(found.image, image)
    assert np.array_equal(image, before)
    assert crop(image, margin, level_tone=level_tone).box == found.box
    if found.fallback:
        assert found.reason
        assert found.box == Box(0, 0, width, height)


def blank(height: int, width: int) -> np.ndarray:
    return np.zeros((height, width), np.float32)


@pytest.mark.parametrize(
    "image",
    [
        blank(1, 1),
        blank(1, 200),
        blank(200, 3),
        blank(100, 100),
        np.linspace(0, 1, 30_000, dtype=np.float32).reshape(200, 150),
        np.random.default_rng(1).random((300, 240), dtype=np.float32),
        cv2.rectangle(blank(200, 160), (40, 50), (120, 150), 1.0, -1),
        cv2.circle(blank(200, 160), (80, 100), 55, 1.0, -1),
    ],
    ids=["1x1", "1xN", "Nx3", "black", "gradient", "noise", "rectangle", "disc"],
)
@pytest.mark.parametrize("level_tone", [False, True])
def test_what_is_no_hand_gives_the_whole_image_and_says_so(
    image: np.ndarray, level_tone: bool
) -> None:
    found = crop(image, level_tone=level_tone)
    assert found.fallback
    assert found.reason
    assert np.array_equal(found.image, image)


def test_the_margin_widens_the_box() -> None:
    image, _ = draw_hand()
    widths = [crop(image, margin).box.width_px for margin in (0, 0.05, 0.1)]
    assert widths[0] < widths[1] < widths[2]


@pytest.mark.parametrize("margin", [-0.01, 0.51, float("nan")])
def test_impossible_margins_are_refused(margin: float) -> None:
    with pytest.raises(SettingsError, match="margin"):
        crop(draw_hand()[0], margin)


@pytest.mark.parametrize("values", [(-1, 0, 5, 5), (0, -1, 5, 5), (0, 0, 0, 5), (0, 0, 5, 0)])
def test_impossible_boxes_are_refused(values: tuple[int, int, int, int]) -> None:
    with pytest.raises(SettingsError, match="no box"):
        Box(*values)


def test_other_types_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"crop.*float64"):
        crop(np.zeros((50, 50)))  # type: ignore[arg-type]


@pytest.mark.real_data
@pytest.mark.parametrize("level_tone", [False, True])
def test_annotated_hands_lie_inside_the_crop(shared_data: Path, level_tone: bool) -> None:
    with (shared_data / "annotations" / "hand-keypoints.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))[::8]
    covered = []
    for row in rows:
        path = shared_data / "rsna-100px" / "boneage-training-dataset" / f"{row['id']}.png"
        pixels = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        across = pixels.shape[1] / float(row["image_width"])
        down = pixels.shape[0] / float(row["image_height"])
        x0, y0 = max(0.0, float(row["box_x"]) * across), max(0.0, float(row["box_y"]) * down)
        x1 = min(pixels.shape[1], x0 + float(row["box_width"]) * across)
        y1 = min(pixels.shape[0], y0 + float(row["box_height"]) * down)
        found = crop(normalise(pixels).image, level_tone=level_tone)
        covered.append(inside(found.box, (x0, y0, x1, y1)))
    assert len(covered) > 60
    assert np.mean(np.array(covered) >= 0.97) >= 0.95


@pytest.mark.real_data
def test_gamma_2_moves_few_crops_on_a_levelled_tone(shared_data: Path) -> None:
    files = sorted((shared_data / "rsna-100px" / "boneage-training-dataset").glob("*.png"))[::150]
    moved = {False: 0, True: 0}
    for file in files:
        image = normalise(cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)).image
        for level_tone in moved:
            before = crop(image, level_tone=level_tone).box
            after = crop(image**2, level_tone=level_tone).box
            moved[level_tone] += overlap(before, after) < 0.7
    assert len(files) > 60
    assert moved[True] <= 0.06 * len(files)  # of every fiftieth radiograph: 6 of 233
    assert moved[False] > 2 * moved[True]
