"""Regions of an image that a network looks at enlarged."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from maps import Brightness, middle, spot

from boneage.errors import SettingsError
from boneage.network.build import BoneAgeNetwork, build_network
from boneage.network.efficientnet import AGE_BINS_MONTHS
from boneage.network.ensemble import Ensemble
from boneage.network.regions import WHOLE, Region
from boneage.network.settings import NetworkSettings

SIDE_PX = 96
PLACES = 12
CELLS = 24


@st.composite
def regions(draw: st.DrawFn) -> Region:
    side = draw(st.floats(0.3, 0.8))
    left, top = (draw(st.floats(0, 1 - side)) for _ in range(2))
    return Region(
        left, top, side, draw(st.sampled_from((0.75, 1.0, 1.25, 1.6))), draw(st.booleans())
    )


@given(regions())
def test_all_of_what_a_place_has_found_goes_into_the_image(region: Region) -> None:
    for shares in region.shares(SIDE_PX, PLACES, CELLS):
        assert shares.shape == (CELLS, PLACES)
        assert (shares >= 0).all()
        torch.testing.assert_close(shares.sum(dim=0), torch.ones(PLACES), rtol=1e-4, atol=1e-4)


@given(regions(), st.floats(0.3, 0.7), st.floats(0.3, 0.7))
def test_a_spot_in_a_region_comes_back_to_where_it_is(
    region: Region, across: float, down: float
) -> None:
    x, y = region.left + across * region.side, region.top + down * region.side
    seen = region.of(spot(SIDE_PX, x * SIDE_PX - 0.5, y * SIDE_PX - 0.5, 8)[None, None])
    assert seen.shape == (1, 1, region.side_px(SIDE_PX), region.side_px(SIDE_PX))
    found = torch.nn.functional.interpolate(seen, size=(PLACES, PLACES), mode="area")[0, 0]
    down_shares, across_shares = region.shares(SIDE_PX, PLACES, CELLS)
    back = down_shares @ found @ across_shares.T
    assert middle(back) == pytest.approx((x, y), abs=0.03)


def test_all_of_an_image_is_the_image() -> None:
    image = torch.rand(2, 1, 64, 64)
    assert WHOLE.of(image) is image
    assert WHOLE.side_px(64) == 64
    assert torch.equal(WHOLE._replace(mirrored=True).of(image), image.flip(3))


def of_brightness(*regions: Region) -> BoneAgeNetwork:
    bodies = [Brightness(stages=3, hidden=4) for _ in regions]
    for body in bodies:
        with torch.no_grad():
            body.answer.weight[:-1] = torch.tensor(AGE_BINS_MONTHS)[:, None] / 10
    first, *others = bodies
    return BoneAgeNetwork(
        first, mean_months=120, sd_months=40, others=others, regions=regions
    ).eval()


@torch.inference_mode()
def test_what_is_bright_in_a_region_is_hot_in_its_place() -> None:
    wrist = Region(0.25, 0.5, 0.5, 2.0, True)
    image = torch.zeros(1, 1, 64, 64)
    image[:, :, 48:56, 20:28] = 1
    network = of_brightness(WHOLE, wrist)
    for explain in (network.explained, lambda *a: Ensemble([network], mirror=False)(*a)[1:]):
        heat = explain(image, torch.zeros(1))[1][0]
        assert heat.shape == (8, 8)
        assert heat.sum() > 1
        assert middle(heat) == pytest.approx((24 / 64, 52 / 64), abs=2 / 64)
    alone = of_brightness(wrist)
    outside = torch.zeros(1, 1, 64, 64)
    outside[:, :, :32] = 1
    assert not alone.explained(outside, torch.zeros(1))[1].any()
    inside = alone.explained(image, torch.zeros(1))[1][0]
    assert inside.shape == (16, 16)
    assert middle(inside)[1] == pytest.approx(52 / 64, abs=2 / 64)


def small(**changes: object) -> NetworkSettings:
    values = {"architecture": "efficientnet", "stages": 3, "hidden": 8, **changes}
    return NetworkSettings.from_dict(values)


@torch.inference_mode()
def test_the_answer_is_the_mean_of_the_regions() -> None:
    wrist = (0.2, 0.3, 0.6, 1.25)
    network = build_network(
        small(regions=[[0, 0, 1, 1], wrist]), size_px=64, mean_months=120, sd_months=40
    ).eval()
    images, sexes = torch.rand(6, 1, 64, 64), torch.ones(6)
    first, second = network.answers(images, sexes)
    answer = network.answer(images, sexes)
    torch.testing.assert_close(answer.months, (first.months + second.months) / 2)
    assert first.expected_error_months is not None
    assert second.expected_error_months is not None
    torch.testing.assert_close(
        answer.expected_error_months,
        (first.expected_error_months + second.expected_error_months) / 2,
    )
    part = Region(*wrist).of(images)
    alone = BoneAgeNetwork(network.others[0], mean_months=120, sd_months=40).eval()
    torch.testing.assert_close(second.months, alone(part, sexes))


@torch.inference_mode()
def test_an_ensemble_may_ask_some_networks_about_one_region_only() -> None:
    settings = small(regions=[[0, 0, 1, 1], [0.2, 0.3, 0.6, 1.25]])
    both, other = (
        build_network(settings, size_px=64, mean_months=mean, sd_months=40).eval()
        for mean in (100, 140)
    )
    images, sexes = torch.rand(4, 1, 64, 64), torch.zeros(4)
    months, errors, heat = Ensemble([both, other.only([1])], mirror=False)(images, sexes)
    asked = [*both.answers(images, sexes), other.answers(images, sexes)[1]]
    torch.testing.assert_close(months, torch.stack([answer.months for answer in asked]).mean(0))
    expected = [a.expected_error_months for a in asked if a.expected_error_months is not None]
    torch.testing.assert_close(errors, torch.stack(expected).mean(0))
    black = Ensemble([both, other.only([1])], mirror=False)(torch.zeros_like(images), sexes)[0]
    torch.testing.assert_close(heat.sum(dim=(1, 2)), months - black, rtol=0.01, atol=0.05)
    names = other.only([1]).state_dict()
    assert not any(name.startswith("body.") for name in names)
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in names.items())


def test_settings_keep_their_regions() -> None:
    settings = small(regions=[[0, 0, 1, 1], [0.2, 0.3, 0.6, 1.25]])
    assert NetworkSettings.from_dict(settings.to_dict()) == settings
    assert settings.regions[1] == (0.2, 0.3, 0.6, 1.25, False)
    mirrored = small(regions=[[0, 0, 1, 1, True]])
    assert mirrored.regions[0][-1] is True
    assert NetworkSettings.from_dict(mirrored.to_dict()) == mirrored


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        [[0, 0, 1]],
        "wrist",
        [[0.5, 0, 0.6, 1]],
        [[0, -0.1, 0.6, 1]],
        [[0, 0, 0, 1]],
        [[0, 0, 1, 9]],
        [[0, 0, 1, 1, 0.5]],
        [[0, 0, 1, 1, True, True]],
        [[0, 0, float("nan"), 1]],
        [[0, 0, 1, 1]] * 5,
    ],
)
def test_regions_that_cannot_be_are_refused(wrong: object) -> None:
    with pytest.raises(SettingsError, match="regions must be 1 to 4"):
        small(regions=wrong)


def test_regions_are_for_the_efficientnet_and_not_too_small() -> None:
    with pytest.raises(SettingsError, match="needs --architecture efficientnet"):
        NetworkSettings(regions=((0.2, 0.3, 0.6, 1.25),))
    with pytest.raises(SettingsError, match="has 19 px of an image of 64 px"):
        build_network(small(regions=[[0.2, 0.3, 0.3, 1]]), size_px=64)
