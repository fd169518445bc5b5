"""Rescale, LUT, window, polarity and padding, against the formulas and against pydicom's own."""

from datetime import date, timedelta

import numpy as np
import pytest
from dicom_files import hand_dataset
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.pixels import apply_modality_lut, apply_voi_lut
from pydicom.sequence import Sequence

from boneage.errors import UnreadableError
from boneage.radiographs.readers import read_radiograph
from boneage.radiographs.readers._dicom_grey import GreyScale, Lut, Window, to_grey
from boneage.radiographs.readers._dicom_patient import age_string_months, months_between

GRID = np.random.default_rng(0).integers(0, 4096, (20, 30)).astype(np.uint16)
GRID[0, :2] = 0, 4095


@pytest.fixture
def read(tmp_path):
    def write_and_read(dataset):
        dataset.save_as(tmp_path / "hand.dcm", enforce_file_format=True)
        return read_radiograph(tmp_path / "hand.dcm").pixels

    return write_and_read


def table(first, entries, bits=16, signed=False):
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if signed else "US", [len(entries), first, bits])
    item.add_new("LUTData", "US", [int(entry) for entry in entries])
    return Sequence([item])


CURVE = np.rint(65535 * np.linspace(0, 1, 3000) ** 2)
STAGES = {
    "rescale": {"RescaleSlope": "0.5", "RescaleIntercept": "-100"},
    "negative rescale": {"RescaleSlope": "-1", "RescaleIntercept": "4095"},
    "modality lut": {"ModalityLUTSequence": table(200, CURVE), "RescaleSlope": "7"},
    "window": {"WindowCenter": ["1500", "1"], "WindowWidth": ["1000", "2"]},
    "threshold": {"WindowCenter": "1500", "WindowWidth": "1"},
    "exact window": {
        "WindowCenter": "1500", "WindowWidth": "1000.5", "VOILUTFunction": "LINEAR_EXACT",
    },
    "sigmoid": {"WindowCenter": "1500", "WindowWidth": "800", "VOILUTFunction": "SIGMOID"},
    "rescale and window": {
        "RescaleSlope": "2", "RescaleIntercept": "-1000",
        "WindowCenter": "2000", "WindowWidth": "3000",
    },
    "voi lut": {
        "VOILUTSequence": table(500, CURVE),
        "WindowCenter": "9", "WindowWidth": "9",
    },
}  # fmt: skip


@pytest.mark.parametrize("name", STAGES)
@pytest.mark.parametrize("polarity", ["MONOCHROME1", "MONOCHROME2"])
def test_the_stages_are_those_of_pydicom(read, name, polarity):
    dataset = hand_dataset(GRID, 12, PhotometricInterpretation=polarity, **STAGES[name])
    wanted = np.asarray(apply_voi_lut(apply_modality_lut(GRID, dataset), dataset), np.float64)
    found = read(dataset).astype(np.float64)
    if polarity == "MONOCHROME1":
        wanted = -wanted
    # Equal up to scale and offset: the standard leaves the range of the output open.
    spread = np.ptp(found)
    fitted = (wanted - wanted.min()) * spread / np.ptp(wanted) + found.min()
    np.testing.assert_allclose(found, fitted, atol=max(1.0, spread / 4000))


def test_a_window_over_all_values_changes_nothing(read):
    dataset = hand_dataset(GRID, 12, WindowCenter="2048", WindowWidth="4096")
    np.testing.assert_array_equal(read(dataset), GRID)


@pytest.mark.parametrize(
    "window",
    [("9000", "10"), ("-500", "100"), ("100", "0"), ("100", "-5"), ("1e300", "1")],
)
def test_a_window_that_shows_nothing_is_left_out(read, window):
    dataset = hand_dataset(GRID, 12, WindowCenter=window[0], WindowWidth=window[1])
    np.testing.assert_array_equal(read(dataset), GRID)


def test_a_voi_lut_of_signed_values(read):
    pixels = (GRID.astype(np.int32) - 2048).astype(np.int16)
    dataset = hand_dataset(pixels, 12, VOILUTSequence=table(-1000, CURVE, signed=True))
    index = np.clip(pixels.astype(int) + 1000, 0, len(CURVE) - 1)
    np.testing.assert_array_equal(read(dataset), CURVE[index])


@pytest.mark.parametrize("packed", [True, False])
def test_a_table_of_bytes(read, packed):
    grey = (GRID >> 4).astype(np.uint8)
    entries = np.arange(255, -1, -1)
    dataset = hand_dataset(grey, VOILUTSequence=table(0, entries, bits=8))
    if packed:
        dataset.VOILUTSequence[0].add_new("LUTData", "OW", entries.astype(np.uint8).tobytes())
    result = read(dataset)
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(result, 255 - grey)


def test_a_table_that_is_cut_short(read):
    dataset = hand_dataset(GRID, 12, VOILUTSequence=table(0, CURVE))
    dataset.VOILUTSequence[0].LUTDescriptor = [3001, 0, 16]
    with pytest.raises(UnreadableError, match="3000 entries where 3001 are announced"):
        read(dataset)


@pytest.mark.parametrize("polarity", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_black(read, polarity):
    padded = GRID.copy()
    padded[GRID < 1000] += 1000
    padded[5:9] = 3
    padded[10] = 7
    dataset = hand_dataset(padded, 12, PhotometricInterpretation=polarity)
    dataset.add_new("PixelPaddingValue", "US", 3)
    dataset.add_new("PixelPaddingRangeLimit", "US", 8)
    result = read(dataset)
    seen = padded > 8
    assert (result[~seen] == result[seen].min()).all()
    wanted = 4095 - padded if polarity == "MONOCHROME1" else padded
    np.testing.assert_array_equal(result[seen], wanted[seen])


def test_all_padding_is_none(read):
    dataset = hand_dataset(np.full((4, 4), 9, np.uint16), 12)
    dataset.add_new("PixelPaddingValue", "US", 9)
    np.testing.assert_array_equal(read(dataset), np.full((4, 4), 9))


luts = st.builds(
    lambda first, entries: Lut(first, np.array(entries), 12),
    st.integers(-3000, 3000),
    st.lists(st.integers(0, 4095), min_size=1, max_size=50),
)
windows = st.builds(
    Window,
    st.floats(-5000, 5000),
    st.floats(1, 10_000),
    st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
)
scales = st.builds(
    GreyScale,
    bits=st.integers(1, 12),
    signed=st.booleans(),
    slope=st.sampled_from([1.0, 1.0, 0.25, -2.0, 3.5]),
    intercept=st.sampled_from([0.0, 0.0, -1024.0, 17.5]),
    modality=st.none() | luts,
    voi=st.none() | luts | windows,
    padding=st.none() | st.tuples(st.integers(0, 5), st.integers(5, 50)),
)


def stored_values(scale, seed):
    least, greatest = scale.range
    random = np.random.default_rng(seed)
    return random.integers(least, greatest, (7, 9), dtype=np.int32, endpoint=True)


@settings(max_examples=300)
@given(scale=scales, seed=st.integers(0, 1000))
def test_a_picture_of_a_type_that_radiographs_have(scale, seed):
    stored = stored_values(scale, seed)
    grey = to_grey(stored, scale)
    assert grey.shape == stored.shape
    assert grey.dtype in (np.uint8, np.uint16, np.float32)
    assert np.isfinite(grey).all()


@settings(max_examples=300)
@given(scale=scales, seed=st.integers(0, 1000))
def test_monochrome1_is_the_mirror_image(scale, seed):
    """Both polarities add up to one number wherever there is no padding."""
    stored = stored_values(scale, seed)
    fields = {name: getattr(scale, name) for name in GreyScale.__dataclass_fields__}
    mirrored = GreyScale(**{**fields, "white_is_low": True})
    total = to_grey(stored, scale).astype(np.float64) + to_grey(stored, mirrored)
    if scale.padding is not None:
        total = total[(stored < scale.padding[0]) | (stored > scale.padding[1])]
    assert total.size == 0 or np.ptp(total) <= 1e-3 * max(1, abs(total).max())


@given(window=windows, low=st.floats(-6000, 6000), step=st.floats(0, 5000))
def test_a_window_never_turns_the_order_round(window, low, step):
    low_grey, high_grey = window(np.array([low, low + step]))
    assert 0 <= low_grey <= high_grey <= 1


@given(
    born=st.dates(date(1990, 1, 1), date(2020, 1, 1)), days=st.integers(0, 9000),
    more=st.integers(0, 40),
)  # fmt: skip
def test_months_grow_with_days(born, days, more):
    taken = born + timedelta(days)
    months = months_between(born, taken)
    assert months_between(taken, born) == -months
    assert months_between(born, taken + timedelta(more)) >= months
    assert abs(months * 30.436875 - days) < 1e-6
    # By the calendar: whole months cannot differ by more than what February lacks.
    calendar = (taken.year - born.year) * 12 + taken.month - born.month
    assert abs(months - calendar - (taken.day - born.day) / 30.4) < 0.2


@given(number=st.integers(0, 999), unit=st.sampled_from("DWMY"))
def test_age_strings(number, unit):
    months, step = age_string_months(f"{number:03d}{unit}")
    assert months == pytest.approx(number * step)
    assert step == pytest.approx({"D": 0.03285, "W": 0.23, "M": 1, "Y": 12}[unit], rel=1e-3)


@given(st.text(max_size=6))
def test_what_is_no_age_string_is_none_or_an_age(text):
    found = age_string_months(text)
    assert found is None or found[0] >= 0
