"""The radiograph and the sex of the child."""

import dataclasses

import numpy as np
import pytest

from boneage.errors import InputError, SettingsError
from boneage.radiographs.radiograph import Radiograph, Sex


@pytest.mark.parametrize(
    ("word", "sex"),
    [
        ("female", Sex.FEMALE), ("F", Sex.FEMALE), (" Girl ", Sex.FEMALE), (Sex.FEMALE, Sex.FEMALE),
        ("male", Sex.MALE), ("m", Sex.MALE), ("BOY", Sex.MALE), (Sex.MALE, Sex.MALE),
    ],
)  # fmt: skip
def test_sex_is_understood(word, sex):
    assert Sex.parse(word) is sex


@pytest.mark.parametrize("word", ["", "x", "femal", None, True, 1, 0, "True", "unknown"])
def test_sex_is_never_guessed(word):
    with pytest.raises(InputError, match="is not a sex"):
        Sex.parse(word)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_size_and_defaults(dtype):
    radiograph = Radiograph(np.zeros((3, 5), dtype))
    assert (radiograph.height_px, radiograph.width_px) == (3, 5)
    assert radiograph.spacing_mm is None
    assert radiograph.sex is None
    assert radiograph.chronological_age_months is None


def test_radiograph_is_frozen():
    radiograph = Radiograph(np.zeros((3, 5), np.uint8))
    with pytest.raises(dataclasses.FrozenInstanceError):
        radiograph.sex = Sex.MALE


@pytest.mark.parametrize("shape", [(5,), (2, 2, 3), (0, 4), (4, 0)])
def test_shape_must_be_a_grey_image(shape):
    with pytest.raises(SettingsError, match=r"hand\.png: pixels must be a grey image"):
        Radiograph(np.zeros(shape, np.uint8), source="hand.png")


@pytest.mark.parametrize("dtype", [np.int16, np.float64, np.bool_, np.int64])
def test_dtype_must_be_one_of_three(dtype):
    with pytest.raises(SettingsError, match="must be uint8, uint16 or float32"):
        Radiograph(np.zeros((2, 2), dtype))


@pytest.mark.parametrize("spacing", [(0.0, 1.0), (0.1, -0.1)])
def test_spacing_must_be_positive(spacing):
    with pytest.raises(SettingsError, match="spacing_mm must be positive"):
        Radiograph(np.zeros((2, 2), np.uint8), spacing_mm=spacing)


@pytest.mark.parametrize("age", [-0.1, 300.1, float("nan")])
def test_age_must_be_within_its_range(age):
    with pytest.raises(SettingsError, match="chronological_age_months must be within 0 to 300"):
        Radiograph(np.zeros((2, 2), np.uint8), chronological_age_months=age)


@pytest.mark.parametrize("age", [0, 300])
def test_age_range_includes_its_ends(age):
    radiograph = Radiograph(np.zeros((2, 2), np.uint8), chronological_age_months=age)
    assert radiograph.chronological_age_months == age
