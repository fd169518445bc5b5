"""Text on the sheet: it fits, nothing of it is lost, and threads do not disturb each other."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from boneage.reports.dicom_results.canvas import TextStyle, draw_text, height_px, wrapped

STYLE = TextStyle(24, (255, 255, 255))
texts = st.text(st.sampled_from("abc WMi.,−±\N{NO-BREAK SPACE}é骨\n"), max_size=120)


@given(text=texts, width=st.integers(60, 500))
@settings(max_examples=40)
def test_lines_fit_and_hold_all_of_the_text(text: str, width: int) -> None:
    lines = wrapped(text, STYLE, width)
    assert all(STYLE.width_px(line) <= width or len(line) == 1 for line in lines)
    kept = "".join("".join(lines).split(" "))
    assert kept == "".join("".join(text.splitlines()).split(" "))


def test_what_is_drawn_stays_within_its_lines() -> None:
    lines = wrapped("Ågypq|骨 and more of it " * 8, STYLE, 300)
    picture = np.zeros((height_px(lines, STYLE) + 40, 340, 3), np.uint8)
    end = draw_text(picture, lines, 20, 20, STYLE)
    assert end == 20 + height_px(lines, STYLE)
    inked = picture.any(axis=2)
    assert inked.any()
    assert not inked[:20].any()
    assert not inked[end:].any()
    assert not inked[:, :18].any()
    assert not inked[:, 322:].any()


def test_threads_do_not_disturb_each_other() -> None:
    def draw(seed: int) -> bytes:
        picture = np.zeros((400, 900, 3), np.uint8)
        for number in range(8):
            style = TextStyle(16 + 3 * number, (255, 255, 255), 400 + 200 * (number % 2))
            words = [f"{seed % 4} Bone age 131.4 months, 12 y 3 m"]
            draw_text(picture, words, 5, 45 * number, style)
        return picture.tobytes()

    expected = [draw(seed) for seed in range(4)]
    with ThreadPoolExecutor(8) as pool:
        assert all(
            drawn == expected[seed % 4] for seed, drawn in enumerate(pool.map(draw, range(400)))
        )
