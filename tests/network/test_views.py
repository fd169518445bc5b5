"""Views of an image, and what is found in them put back where it belongs."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from maps import middle, spot

from boneage.network.views import View

SIDE_PX = 96
PLACES = 12
CELLS = 24
VIEWS = st.builds(View, st.floats(1, 1.6), st.booleans())


@given(VIEWS)
def test_all_of_what_a_place_has_found_goes_into_the_image(view: View) -> None:
    for shares in view.shares(SIDE_PX, PLACES, CELLS):
        assert shares.shape == (CELLS, PLACES)
        assert (shares >= 0).all()
        torch.testing.assert_close(shares.sum(dim=0), torch.ones(PLACES), rtol=1e-4, atol=1e-4)


@given(VIEWS, st.floats(0.3, 0.7), st.floats(0.3, 0.7))
def test_a_spot_that_a_view_shows_comes_back_to_where_it_is(
    view: View, across: float, down: float
) -> None:
    seen = view.of(spot(SIDE_PX, across * SIDE_PX, down * SIDE_PX, 50)[None, None])[0, 0]
    found = seen.reshape(PLACES, SIDE_PX // PLACES, PLACES, SIDE_PX // PLACES).sum(dim=(1, 3))
    down_shares, across_shares = view.shares(SIDE_PX, PLACES, CELLS)
    back = down_shares @ found @ across_shares.T
    assert middle(back) == pytest.approx((across, down), abs=0.02)


def test_what_a_view_does_not_show_gets_nothing() -> None:
    down, across = View(1.5, True).shares(SIDE_PX, PLACES, CELLS)
    for shares in (down, across):
        assert not shares[:4].any()
        assert not shares[-4:].any()
        assert (shares[4:-4].sum(dim=1) > 0).all()


def test_a_view_of_everything_changes_no_map() -> None:
    down, across = View(1.0, True).shares(SIDE_PX, PLACES, PLACES)
    torch.testing.assert_close(down, torch.eye(PLACES))
    torch.testing.assert_close(across, torch.eye(PLACES).flip(1))
