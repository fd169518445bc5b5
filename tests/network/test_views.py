"""Views of an image, and what is found in them put back where it belongs."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from boneage.network.views import View

SIDE_PX = 96
PLACES = 12
CELLS = 24
VIEWS = st.builds(View, st.floats(1, 1.6), st.booleans())
# Centres of the places from the middle of their share of the view to its far end, as SAME has it.
CENTRES = st.floats(3.5, 7.0).map(lambda first: (first, SIDE_PX / PLACES))


@given(VIEWS, CENTRES)
def test_all_of_what_a_place_has_found_goes_into_the_image(
    view: View, centres: tuple[float, float]
) -> None:
    for shares in view.shares(centres, SIDE_PX, PLACES, CELLS):
        assert shares.shape == (CELLS, PLACES)
        assert (shares >= 0).all()
        torch.testing.assert_close(shares.sum(dim=0), torch.ones(PLACES), rtol=1e-4, atol=1e-4)


@given(VIEWS, CENTRES, st.floats(0.3, 0.7), st.floats(0.3, 0.7))
def test_a_spot_that_a_view_shows_comes_back_to_where_it_is(
    view: View, centres: tuple[float, float], across: float, down: float
) -> None:
    pixels = torch.arange(SIDE_PX)
    spot = torch.exp(-((pixels - down * SIDE_PX)[:, None] ** 2) / 50) * torch.exp(
        -((pixels - across * SIDE_PX) ** 2) / 50
    )
    seen = view.of(spot[None, None])[0, 0]
    first, step = centres
    # A network's place sees what lies about its centre.
    weights = torch.exp(-((pixels - (first + step * torch.arange(PLACES))[:, None]) ** 2) / 32)
    down_shares, across_shares = view.shares(centres, SIDE_PX, PLACES, CELLS)
    found = down_shares @ (weights @ seen @ weights.T) @ across_shares.T
    cells = (torch.arange(CELLS) + 0.5) / CELLS
    total = found.sum()
    assert float(found.sum(dim=1) @ cells / total) == pytest.approx(down, abs=0.02)
    assert float(found.sum(dim=0) @ cells / total) == pytest.approx(across, abs=0.02)


def test_what_a_view_does_not_show_gets_nothing() -> None:
    (down, across) = View(1.5, False).shares((3.5, 8.0), SIDE_PX, PLACES, CELLS)
    assert not down[:4].any()
    assert not across[-4:].any()
    assert (down[5:-5].sum(dim=1) > 0).all()
