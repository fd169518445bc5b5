import pytest

from boneage.errors import SettingsError
from boneage.training.settings import TrainingSettings


def test_settings_survive_json() -> None:
    settings = TrainingSettings().updated(
        epochs=3, dropout=0.3, flip=0.0, blocks=[1, 1], zooms=[1, 1.2]
    )
    assert settings.network.dropout == 0.3
    assert settings.augmentation.flip == 0
    assert TrainingSettings.from_dict(settings.to_dict()) == settings


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(SettingsError, match="epoch_count"):
        TrainingSettings().updated(epoch_count=3)


@pytest.mark.parametrize(
    ("changes", "flag"),
    [
        ({"size_px": 8}, "--size"),
        ({"epochs": 0}, "--epochs"),
        ({"batch_size": 0}, "--batch-size"),
        ({"learning_rate": 0.0}, "--learning-rate"),
        ({"weight_decay": -1.0}, "--weight-decay"),
        ({"warmup": 1.0}, "--warmup"),
        ({"loss": "l3"}, "--loss"),
        ({"patience": -1}, "--patience"),
        ({"validation_fraction": 0.9}, "--validation-fraction"),
        ({"seed": -1}, "--seed"),
        ({"precision": "fp8"}, "--precision"),
        ({"device": "tpu"}, "--device"),
        ({"threads": -1}, "--threads"),
        ({"gradient_clip": -1.0}, "--gradient-clip"),
        ({"ema": 1.0}, "--ema"),
        ({"ema": -0.1}, "--ema"),
        ({"zooms": []}, "zooms"),
        ({"zooms": [0.9]}, "zooms"),
        ({"zooms": [1.0] * 9}, "zooms"),
        ({"keep": "first"}, "--keep must be one of best, last"),
        ({"pretrained": 1, "architecture": "efficientnet"}, "--pretrained is on or off"),
        ({"pretrained": True}, "--pretrained needs --architecture efficientnet"),
        ({"pretrained": True, "architecture": "hypermodel"}, "no ImageNet weights for hypermodel"),
        ({"loss": "distribution"}, "--loss distribution needs --architecture efficientnet"),
        ({"stages": 2, "architecture": "efficientnet"}, "--stages"),
        ({"hidden": 4, "architecture": "efficientnet"}, "--hidden"),
    ],
)
def test_a_value_out_of_range_names_the_flag(changes: dict[str, object], flag: str) -> None:
    with pytest.raises(SettingsError, match=flag):
        TrainingSettings().updated(**changes)
