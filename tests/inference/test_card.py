import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_models import intervals, tiny_card

from boneage import __version__
from boneage.errors import BundleError, SettingsError
from boneage.inference.card import FORMAT_VERSION, Card

words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=5,
)  # fmt: skip
objects = st.dictionaries(words, json_values, max_size=3)


@given(
    name=words,
    trained_on=objects,
    figures=objects,
    interval=st.none() | intervals,
    sexes=st.sampled_from([("female",), ("male",), ("male", "female")]),
    preparation=st.none() | objects,
    limits=words,
)
def test_what_is_written_is_read_back(**changes: Any) -> None:
    card = tiny_card(**changes)
    assert Card.from_json(card.to_json()) == card


def changed(**changes: Any) -> str:
    layout = json.loads(tiny_card().to_json())
    for name, value in changes.items():
        if value is ...:
            del layout[name]
        else:
            layout[name] = value
    return json.dumps(layout)


def test_a_later_format_names_the_release_to_use() -> None:
    text = changed(format_version=FORMAT_VERSION + 1, boneage_version="3.1.4", new_field=1)
    with pytest.raises(BundleError) as caught:
        Card.from_json(text, source="m/card.json")
    for part in ("m/card.json", f"format {FORMAT_VERSION + 1}", "Use boneage 3.1.4", __version__):
        assert part in str(caught.value)


@pytest.mark.parametrize("version", [None, "1", 1.0, True, ..., [1]])
def test_without_a_format_it_is_no_card(version: object) -> None:
    with pytest.raises(BundleError, match="format_version"):
        Card.from_json(changed(format_version=version))


@pytest.mark.parametrize("name", sorted(json.loads(tiny_card().to_json())))
def test_every_field_must_be_there(name: str) -> None:
    with pytest.raises(BundleError, match=name):
        Card.from_json(changed(**{name: ...}))


@pytest.mark.parametrize("name", sorted(json.loads(tiny_card().to_json())))
def test_a_field_of_the_wrong_type_is_named(name: str) -> None:
    with pytest.raises(BundleError, match=name):
        Card.from_json(changed(**{name: 3.5}))


def test_an_unknown_field_is_not_skipped() -> None:
    with pytest.raises(BundleError, match="temperature"):
        Card.from_json(changed(temperature=2))
    with pytest.raises(BundleError, match="mirrored"):
        Card.from_json(changed(input={"size_px": 64, "mirrored": True}))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "7",
        '{"format_version": NaN}',
        "[" * 100_000,
        b"\xff\xfe\x00",
        b"\x00",
    ],
)
def test_what_is_not_a_json_object_is_damaged(text: str | bytes) -> None:
    with pytest.raises(BundleError, match=r"here/card\.json is damaged"):
        Card.from_json(text, source="here/card.json")


@given(st.data())
def test_a_damaged_card_is_a_bundle_error_or_a_card(data: st.DataObject) -> None:
    text = bytearray(tiny_card().to_json().encode())
    at = data.draw(st.integers(0, len(text) - 1))
    text[at] = data.draw(st.integers(0, 255))
    try:
        card = Card.from_json(bytes(text))
    except BundleError:
        return
    assert Card.from_json(card.to_json()) == card


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"name": " "}, "name"),
        ({"size_px": 0}, "size_px"),
        ({"size_px": True}, "size_px"),
        ({"preparation_version": -1}, "preparation"),
        ({"sexes": ()}, "sexes"),
        ({"sexes": ("female", "female")}, "sexes"),
        ({"sexes": ("other",)}, "sexes"),
        ({"figures": {"mae_months": float("nan")}}, "figures"),
        ({"figures": {1: 2}}, "figures"),
        ({"trained_on": {"when": object()}}, "trained_on"),
        ({"created": "yesterday"}, "created"),
        ({"files": {"model.onnx": "abc"}}, "files"),
        ({"format_version": FORMAT_VERSION + 1}, "format_version"),
        ({"interval": {"level": 0.9}}, "interval"),
    ],
)
def test_a_card_refuses_what_it_could_not_be_read_back_from(
    changes: dict[str, Any], named: str
) -> None:
    with pytest.raises(SettingsError, match=named):
        tiny_card(**changes)


def with_interval(**changes: Any) -> str:
    return changed(interval=json.loads(tiny_card().to_json())["interval"] | changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"widths": None}, {"widths": []}, {"widths": {}}, {"widths": [0.9, 12.5]},
        {"widths": [[0.9]]}, {"widths": [[0.9, 1, 2]]}, {"widths": [[0.9, "wide"]]},
        {"widths": [[0.9, 10**400]]}, {"widths": [[0.9, None]]}, {"level": 10**400},
        {"level": "0.9"}, {"level": 0.8}, {"scaled": 0}, {"method": ""}, {"method": None},
        {"half_width_months": 12.5},
    ],
)  # fmt: skip
def test_a_damaged_interval_is_a_bundle_error(changes: dict[str, Any]) -> None:
    with pytest.raises(BundleError, match="interval"):
        Card.from_json(with_interval(**changes))


@pytest.mark.parametrize("name", ["level", "widths", "scaled", "method"])
def test_an_interval_must_be_whole(name: str) -> None:
    layout = json.loads(tiny_card().to_json())
    del layout["interval"][name]
    with pytest.raises(BundleError, match=f"interval lacks {name}"):
        Card.from_json(json.dumps(layout))
