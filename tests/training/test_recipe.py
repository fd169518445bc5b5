"""Recipes: settings, preparation and the words of a card in one file."""

import json
from pathlib import Path
from typing import Any

import pytest

from boneage.errors import SettingsError
from boneage.radiographs.preparation import PreparationSettings
from boneage.training.recipe import CARD_TEXTS, Recipe, read_recipe
from boneage.training.settings import TrainingSettings

SHIPPED = Path(__file__).parents[2] / "recipes" / "shipped.json"


def written(folder: Path, value: Any) -> Path:
    path = folder / "recipe.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def test_the_recipe_of_the_shipped_model_is_read() -> None:
    recipe = read_recipe(SHIPPED)
    values = json.loads(SHIPPED.read_text())
    settings = recipe.settings.to_dict()
    for name, value in values["settings"].items():
        if isinstance(value, dict):
            assert settings[name] | value == settings[name]
        else:
            assert settings[name] == value
    assert recipe.card == values["card"]
    assert set(recipe.card) == set(CARD_TEXTS)
    preparation = recipe.prepare_at(recipe.settings.size_px)
    assert preparation.short_side_px == 100
    assert preparation.size_px == recipe.settings.size_px


@pytest.mark.parametrize("size_px", [256, 512])
def test_another_size_is_prepared_at_the_same_share(size_px: int) -> None:
    recipe = read_recipe(SHIPPED)
    preparation = recipe.prepare_at(size_px)
    assert preparation.size_px == size_px
    assert preparation.short_side_px == round(size_px * 100 / recipe.settings.size_px)
    assert preparation.reduce_to == recipe.prepare_at(recipe.settings.size_px).reduce_to


def test_without_a_file_everything_is_the_default() -> None:
    assert read_recipe(None) == Recipe()
    assert read_recipe(None).settings == TrainingSettings()


def test_bare_settings_are_a_recipe(tmp_path: Path) -> None:
    recipe = read_recipe(written(tmp_path, {"epochs": 7, "network": {"dropout": 0.4}}))
    assert recipe == Recipe(TrainingSettings().updated(epochs=7, dropout=0.4))


@pytest.mark.parametrize("part", ["settings", "preparation", "card"])
def test_each_part_may_be_missing(tmp_path: Path, part: str) -> None:
    values = json.loads(SHIPPED.read_text())
    whole = read_recipe(SHIPPED)
    recipe = read_recipe(written(tmp_path, {k: v for k, v in values.items() if k != part}))
    assert getattr(recipe, part) == getattr(Recipe(), part)
    for other in {"settings", "preparation", "card"} - {part}:
        assert getattr(recipe, other) == getattr(whole, other)


def test_the_config_of_a_run_is_a_recipe(tmp_path: Path) -> None:
    settings = TrainingSettings().updated(size_px=64, epochs=3)
    preparation = PreparationSettings(64, crop=False, margin=0.1, reduce_to=0.5).to_dict()
    config = {
        "boneage_version": "0.1.0",
        "settings": settings.to_dict(),
        "folds": 5,
        "data": {"preparation": preparation, "preparation_version": 1, "train": {"count": 3}},
    }
    recipe = read_recipe(written(tmp_path, config))
    assert recipe.settings == settings
    assert recipe.prepare_at(64).to_dict() == preparation
    without = {**config, "data": {**config["data"], "preparation": None}}
    assert read_recipe(written(tmp_path, without)).settings == settings


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ({"epoch_count": 3}, "epoch_count"),
        ({"settings": {"epoch_count": 3}}, "epoch_count"),
        ({"settings": {"network": {"colour": 3}}}, "colour"),
        ({"settings": {"augmentation": {"hue": 3}}}, "hue"),
        ({"settings": {}, "preparation": {"sharpen": True}}, "sharpen"),
        ({"settings": {}, "card": {"author": "me"}}, "author"),
        ({"settings": {}, "preparaton": {"crop": False}}, "preparaton"),
        ({"settings": {"epochs": 0}}, "--epochs"),
        ({"settings": {"epochs": "9"}}, "recipe.json"),
        ({"settings": {"network": 5}}, "recipe.json"),
        ({"settings": {}, "card": {"name": 7}}, "card"),
        ({"settings": {}, "card": ["name"]}, "card must be a JSON object"),
        ({"settings": {}, "preparation": 3}, "preparation must be a JSON object"),
        ({"settings": [1]}, "settings must be a JSON object"),
        ({"settings": {"size_px": 32}, "preparation": {"reduce_to": 0.5}}, "reduce_to"),
        ([1, 2], "JSON object"),
        ("null", "JSON object"),
        ("", "JSON"),
        ('{"settings": ', "JSON"),
        ("[" * 100_000, "JSON"),
    ],
)
def test_what_is_wrong_is_named_with_the_file(tmp_path: Path, value: Any, named: str) -> None:
    path = written(tmp_path, value)
    with pytest.raises(SettingsError) as caught:
        read_recipe(path)
    assert str(caught.value).startswith(f"--config {path}")
    assert named in str(caught.value)


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "recipe.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match=r"--config .*recipe\.json cannot be read"):
        read_recipe(path)
