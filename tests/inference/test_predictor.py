import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import (
    EXPECTED_OF_FEMALE,
    EXPECTED_OF_MALE,
    HALF_WIDTH_MONTHS,
    MONTHS_OF_MALE,
    MONTHS_OF_WHITE,
    SCALED,
    SIZE_PX,
    hand_pixels,
    scaled_bundle,
    tiny_bundle,
    tiny_onnx,
    write_hand,
)

import boneage
from boneage.errors import (
    BundleError,
    InputError,
    RadiographError,
    SettingsError,
    UnreadableError,
    UnsuitableError,
)
from boneage.inference.bundle import Bundle
from boneage.inference.predictor import Prediction, Predictor, Query, load, predict
from boneage.radiographs.preparation import (
    PREPARATION_VERSION,
    Preparation,
    PreparationSettings,
)
from boneage.radiographs.radiograph import Radiograph, Sex


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    return load(tiny_bundle(tmp_path_factory.mktemp("models") / "tiny"))


def expected_months(radiograph: Radiograph, sex: Sex) -> float:
    """What the tiny graph is to give, worked out without it."""
    image = Preparation(PreparationSettings(size_px=SIZE_PX))(radiograph).image
    return float(image.mean()) * MONTHS_OF_WHITE + MONTHS_OF_MALE * (sex is Sex.MALE)


@pytest.mark.parametrize("sex", list(Sex))
def test_a_radiograph_and_a_sex_give_a_bone_age(predictor: Predictor, sex: Sex) -> None:
    radiograph = Radiograph(hand_pixels())
    months = expected_months(radiograph, sex)
    found = predictor.predict(radiograph, sex)
    assert found.bone_age_months == pytest.approx(months, abs=1e-3)
    assert found.lower_months == pytest.approx(max(months - HALF_WIDTH_MONTHS, 0), abs=1e-3)
    assert found.upper_months == pytest.approx(months + HALF_WIDTH_MONTHS, abs=1e-3)
    assert (found.level, found.sex, found.model_name) == (0.9, sex, "tiny")


def test_a_path_gives_what_its_radiograph_gives(predictor: Predictor, tmp_path: Path) -> None:
    path = write_hand(tmp_path / "7.png", seed=3)
    by_path = predictor.predict(path, "F")
    assert by_path == predictor.predict(str(path), Sex.FEMALE)
    in_memory = predictor.predict(Radiograph(hand_pixels(3), source="7.png"), "female")
    assert by_path == in_memory


def test_the_sex_is_never_assumed(predictor: Predictor) -> None:
    with pytest.raises(UnsuitableError, match=r"hand 7: the sex is not known.*--sex"):
        predictor.predict(Radiograph(hand_pixels(), source="hand 7"))
    with pytest.raises(InputError, match="'unknown' is not a sex"):
        predictor.predict(Radiograph(hand_pixels()), "unknown")


def test_the_radiographs_own_sex_is_used_unless_another_is_given(predictor: Predictor) -> None:
    boy = Radiograph(hand_pixels(), sex=Sex.MALE)
    own, given_too = predictor.predict(boy), predictor.predict(boy, "male")
    assert own == given_too
    assert (own.sex, own.warnings) == (Sex.MALE, ())
    other = predictor.predict(boy, "female")
    assert other.sex is Sex.FEMALE
    assert other.warnings == ("the sex given is female, but the file says male",)


def test_a_model_for_one_sex_refuses_the_other(tmp_path: Path) -> None:
    girls = load(tiny_bundle(tmp_path / "girls", sexes=("female",)))
    assert girls.predict(Radiograph(hand_pixels()), "F").sex is Sex.FEMALE
    with pytest.raises(UnsuitableError, match="not for the sex male"):
        girls.predict(Radiograph(hand_pixels()), "M")


def test_without_an_interval_there_are_no_ends(tmp_path: Path) -> None:
    plain = load(tiny_bundle(tmp_path / "plain", interval=None))
    found = plain.predict(Radiograph(hand_pixels()), "F")
    assert (found.lower_months, found.upper_months, found.level) == (None, None, None)


@pytest.mark.parametrize(
    ("sex", "expected"), [(Sex.FEMALE, EXPECTED_OF_FEMALE), (Sex.MALE, EXPECTED_OF_MALE)]
)
@pytest.mark.parametrize(
    ("level", "widths"), [(None, 4.0), (0.5, 1.0), (0.8, 2.5), (0.85, 3.25), (0.95, 6.0)]
)
def test_an_expected_error_scales_the_interval_of_each_level(
    tmp_path: Path, sex: Sex, expected: float, level: float | None, widths: float
) -> None:
    scaled = load(scaled_bundle(tmp_path / "b"), level=level, intake=False)
    found = scaled.predict(Radiograph(hand_pixels()), sex)
    assert found.level == (level or 0.9)
    assert found.lower_months is not None
    assert found.upper_months is not None
    half = (found.upper_months - found.lower_months) / 2
    assert half == pytest.approx(widths * expected, abs=1e-3)
    assert found.upper_months - half == pytest.approx(found.bone_age_months, abs=1e-3)


def test_in_a_batch_each_keeps_its_own_expected_error(tmp_path: Path) -> None:
    scaled = load(scaled_bundle(tmp_path / "b"), level=0.8, intake=False)
    queries = [query_of(kind, seed) for seed, kind in enumerate(["hand", "black", "hand", "hand"])]
    answers = list(scaled.predict_many(queries, batch_size=4))
    assert [type(answer) for answer in answers] == [
        Prediction, UnsuitableError, Prediction, Prediction
    ]  # fmt: skip
    for query, answer in zip(queries, answers, strict=True):
        if isinstance(answer, Prediction):
            expected = EXPECTED_OF_MALE if query.sex is Sex.MALE else EXPECTED_OF_FEMALE
            half = (answer.upper_months or 0) - answer.bone_age_months
            assert half == pytest.approx(2.5 * expected, abs=1e-3)


@pytest.mark.parametrize("level", [0.49, 0.96, 1.0, 90.0, float("nan")])
def test_a_level_that_the_model_cannot_give_is_refused(tmp_path: Path, level: float) -> None:
    path = scaled_bundle(tmp_path / "b")
    with pytest.raises(SettingsError, match=r"--level must be within 0\.5 to 0\.95"):
        load(path, level=level)


def test_a_model_without_an_interval_has_no_level(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"--level 0\.8: the model tiny has no interval"):
        load(tiny_bundle(tmp_path / "b", interval=None), level=0.8)


def test_a_scaled_interval_of_a_network_that_expects_no_error_contradicts_itself(
    tmp_path: Path,
) -> None:
    with pytest.raises(BundleError, match="contradicts itself"):
        load(tiny_bundle(tmp_path / "b", interval=SCALED))


def test_an_expected_error_that_is_no_number_gives_no_prediction(tmp_path: Path) -> None:
    graph = tiny_onnx(expects_error=True, error_of_male=float("nan"))
    path = tiny_bundle(tmp_path / "b", onnx_bytes=graph, interval=SCALED)
    with pytest.raises(UnsuitableError, match="no number"):
        load(path, intake=False).predict(Radiograph(hand_pixels()), "M")


@pytest.mark.parametrize("white", [-400.0, 0.0, 20.0])
def test_no_bone_age_and_no_interval_below_birth(tmp_path: Path, white: float) -> None:
    young = load(tiny_bundle(tmp_path / "b", onnx_bytes=tiny_onnx(white)))
    found = young.predict(Radiograph(hand_pixels()), "F")
    assert found.lower_months == 0
    assert found.upper_months is not None
    assert found.bone_age_months >= 0
    assert found.upper_months == pytest.approx(found.bone_age_months + HALF_WIDTH_MONTHS)


def test_a_model_that_gives_no_number_gives_no_prediction(tmp_path: Path) -> None:
    broken = load(tiny_bundle(tmp_path / "b", onnx_bytes=tiny_onnx(float("nan"))))
    with pytest.raises(UnsuitableError, match="no number"):
        broken.predict(Radiograph(hand_pixels()), "F")


def test_what_cannot_be_used_is_raised(predictor: Predictor, tmp_path: Path) -> None:
    (tmp_path / "notes.png").write_text("no image")
    with pytest.raises(UnreadableError, match=r"notes\.png"):
        predictor.predict(tmp_path / "notes.png", "F")
    with pytest.raises(UnreadableError, match=r"gone\.png"):
        predictor.predict(tmp_path / "gone.png", "F")
    with pytest.raises(UnsuitableError, match="black"):
        predictor.predict(Radiograph(np.zeros((99, 99), np.uint8), source="black"), "F")


@settings(max_examples=25)
@given(
    kinds=st.lists(st.sampled_from(["hand", "black", "tiny", "no sex", "gone"]), max_size=25),
    batch_size=st.integers(1, 6),
)
def test_many_gives_each_its_own_answer_in_order(
    predictor: Predictor, kinds: list[str], batch_size: int
) -> None:
    queries = [query_of(kind, seed) for seed, kind in enumerate(kinds)]
    answers = list(predictor.predict_many(iter(queries), batch_size=batch_size))
    assert len(answers) == len(kinds)
    for kind, query, answer in zip(kinds, queries, answers, strict=True):
        if kind == "hand":
            assert isinstance(answer, Prediction)
            alone = predictor.predict(query.radiograph, query.sex)
            assert answer.source == alone.source
            assert answer.bone_age_months == pytest.approx(alone.bone_age_months, abs=1e-3)
        else:
            assert isinstance(answer, UnreadableError if kind == "gone" else UnsuitableError)
            assert str(query.radiograph if kind == "gone" else query.radiograph.source) in str(
                answer
            )  # type: ignore[union-attr]


def query_of(kind: str, seed: int) -> Query:
    if kind == "gone":
        return Query(f"gone-{seed}.png", Sex.FEMALE)
    pixels = {
        "black": np.zeros((64, 64), np.uint8),
        "tiny": np.arange(4, dtype=np.uint8).reshape(2, 2),
    }.get(kind, hand_pixels(seed, 90, 70))
    sex = None if kind == "no sex" else list(Sex)[seed % 2]
    return Query(Radiograph(pixels, source=f"number {seed}"), sex)


def test_many_takes_only_so_many_ahead(tmp_path: Path) -> None:
    threads, batch_size, taken = 2, 4, 0
    predictor = load(tiny_bundle(tmp_path / "b"), threads=threads)

    def endless() -> Iterator[Query]:
        nonlocal taken
        while True:
            taken += 1
            yield Query(Radiograph(hand_pixels(1, 64, 64)), Sex.FEMALE)

    answers = predictor.predict_many(endless(), batch_size=batch_size)
    most_ahead = 0
    for answered in range(1, 41):
        assert isinstance(next(answers), Prediction)
        most_ahead = max(most_ahead, taken - answered)
    answers.close()  # type: ignore[attr-defined]
    assert most_ahead <= 3 * batch_size + threads


def test_threads_end_when_the_answers_are_no_longer_wanted(predictor: Predictor) -> None:
    answers = predictor.predict_many(
        Query(Radiograph(hand_pixels(1, 64, 64)), Sex.FEMALE) for _ in range(100)
    )
    next(answers)
    answers.close()  # type: ignore[attr-defined]
    deadline = time.monotonic() + 10
    while names := [t.name for t in threading.enumerate() if "boneage" in t.name]:
        assert time.monotonic() < deadline, names
        time.sleep(0.01)


def test_one_odd_file_does_not_cost_the_others_their_answers(predictor: Predictor) -> None:
    good = Query(Radiograph(hand_pixels()), Sex.MALE)
    odd = Query("nul\0.png", Sex.MALE)  # no file system takes it: Python raises ValueError
    first, second, third = predictor.predict_many([good, odd, good])
    assert isinstance(first, Prediction)
    assert isinstance(second, UnreadableError)
    assert "nul" in str(second)
    assert third == first


@pytest.mark.parametrize("size", [0, -1, 1025])
def test_the_batch_size_has_a_range(predictor: Predictor, size: int) -> None:
    with pytest.raises(SettingsError, match="batch_size"):
        predictor.predict_many([], batch_size=size)


def test_threads_can_be_set(tmp_path: Path) -> None:
    path = tiny_bundle(tmp_path / "b")
    radiograph = Radiograph(hand_pixels())
    one, four = (load(path, threads=threads).predict(radiograph, "F") for threads in (1, 4))
    assert one.bone_age_months == pytest.approx(four.bone_age_months, abs=1e-3)
    with pytest.raises(SettingsError, match="threads"):
        load(path, threads=0)


def test_several_threads_may_share_a_predictor(predictor: Predictor) -> None:
    radiographs = [Radiograph(hand_pixels(seed)) for seed in range(6)]
    alone = [predictor.predict(radiograph, "F") for radiograph in radiographs]
    together: dict[int, Prediction] = {}

    def work(at: int) -> None:
        together[at] = predictor.predict(radiographs[at], "F")

    threads = [threading.Thread(target=work, args=(at,)) for at in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [together[at] for at in range(6)] == alone


def test_with_preparation_off_images_are_taken_as_they_are(tmp_path: Path) -> None:
    plain = load(tiny_bundle(tmp_path / "b", preparation=None))
    grey = np.full((SIZE_PX, SIZE_PX), 51, np.uint8)
    for pixels in (grey, grey.astype(np.uint16) * 257, np.float32(grey / 255)):
        found = plain.predict(Radiograph(pixels), "F")
        assert found.bone_age_months == pytest.approx(MONTHS_OF_WHITE * 0.2, abs=1e-3)
    with pytest.raises(UnsuitableError, match="64 x 64"):
        plain.predict(Radiograph(grey[:, 1:]), "F")
    with pytest.raises(UnsuitableError, match="0 to 1"):
        plain.predict(Radiograph(np.float32(grey)), "F")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"preparation_version": PREPARATION_VERSION + 1}, "version .* of the preparation"),
        ({"preparation": {"size_px": SIZE_PX, "sharpen": True}}, "sharpen"),
        ({"preparation": {"size_px": SIZE_PX}}, "preparation.settings lacks"),
        ({"preparation": PreparationSettings(size_px=32).to_dict()}, "contradicts itself"),
        ({"size_px": 32, "preparation": PreparationSettings(size_px=32).to_dict()}, "32 x 32"),
    ],
)
def test_a_card_that_this_release_cannot_follow(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(BundleError, match=said):
        load(tiny_bundle(tmp_path / "b", **changes))


@pytest.mark.parametrize(
    ("graph", "said"),
    [
        (b"no graph", "cannot be loaded"),
        (tiny_onnx(image_name="picture"), "'picture'"),
        (tiny_onnx(output_name="age"), "'age'"),
        (tiny_onnx(channels=3), "images of shape"),
    ],
)
def test_a_graph_that_does_not_keep_the_contract(tmp_path: Path, graph: bytes, said: str) -> None:
    with pytest.raises(BundleError, match=said):
        load(tiny_bundle(tmp_path / "b", onnx_bytes=graph))


def test_the_shortest_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tiny_bundle(tmp_path / "b")
    radiograph = Radiograph(hand_pixels(), sex=Sex.FEMALE)
    wanted = load(Bundle.open(path)).predict(radiograph)
    assert predict(radiograph, model=path) == wanted
    assert boneage.load(path).predict(radiograph) == wanted
    monkeypatch.setenv("BONEAGE_MODEL", str(path))
    assert boneage.predict(radiograph, "F") == wanted
    monkeypatch.setenv("BONEAGE_MODEL", str(tmp_path / "gone"))
    with pytest.raises(BundleError, match="gone"):
        predict(radiograph)


@pytest.mark.real_data
def test_real_radiographs(predictor: Predictor, shared_data: Path) -> None:
    paths = sorted((shared_data / "rsna-originals" / "images").glob("*.png"))
    answers = list(predictor.predict_many(Query(path, Sex.MALE) for path in paths))
    assert len(answers) == 14
    assert not [answer for answer in answers if isinstance(answer, RadiographError)]
