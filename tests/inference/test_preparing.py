"""What a model gets to see of radiographs that lie askew."""

from functools import cache

import cv2
import numpy as np
import pytest

from boneage.inference.bundle import Bundle
from boneage.inference.catalogue import default_model
from boneage.inference.preparing import ModelImage, ModelPreparation
from boneage.radiographs.phantom import draw_phantom
from boneage.radiographs.radiograph import Radiograph, Sex
from boneage.radiographs.turning import turn

TILTS_DEG = (-40, -30, 35)


@cache
def preparation() -> ModelPreparation:
    return ModelPreparation(Bundle.open(default_model()))


@cache
def hand() -> Radiograph:
    return draw_phantom(130, Sex.FEMALE, rng=np.random.default_rng(3), height_px=1500)


def detail(seen: ModelImage) -> float:
    """How much neighbouring pixels of the hand differ."""
    return float(np.abs(np.diff(seen.image[20:-20, 20:-20], axis=1)).mean())


@pytest.mark.parametrize("tilt_deg", TILTS_DEG)
def test_a_tilted_film_keeps_its_detail(tilt_deg: float) -> None:
    tilted = preparation()(turn(hand(), 0, tilt_deg))
    assert any("turned by" in warning for warning in tilted.warnings)
    assert detail(tilted) > 0.85 * detail(preparation()(hand()))


@pytest.mark.parametrize("tilt_deg", [0, *TILTS_DEG])
@pytest.mark.parametrize("quarter_turns", [0, 1, 2])
def test_what_it_sees_lies_where_it_says(quarter_turns: int, tilt_deg: float) -> None:
    film = turn(hand(), quarter_turns, tilt_deg)
    seen = preparation()(film)
    smooth = cv2.GaussianBlur(film.pixels.astype(np.float32), (0, 0), film.height_px / 250)
    places = [
        (x, y, *map(round, seen.placement.to_radiograph(x, y)))
        for x in range(8, 120, 4)
        for y in range(8, 120, 4)
    ]
    pairs = [
        (seen.image[y, x], smooth[down, across])
        for x, y, across, down in places
        if 0 <= down < film.height_px and 0 <= across < film.width_px
    ]
    assert len(pairs) > 400
    assert np.corrcoef(np.array(pairs).T)[0, 1] > 0.95
