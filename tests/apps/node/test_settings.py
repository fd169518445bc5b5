"""What a node is told, and what it counts."""

import pytest

from boneage.apps.node.counters import Counters
from boneage.apps.node.settings import NodeSettings, Peer, Retries
from boneage.errors import SettingsError

ARCHIVE = Peer("pacs", 104, "ARCHIVE")


@pytest.mark.parametrize(
    ("text", "peer"),
    [
        ("pacs.example.org:104:ARCHIVE", Peer("pacs.example.org", 104, "ARCHIVE")),
        ("10.0.0.1:11112:A", Peer("10.0.0.1", 11112, "A")),
        ("[::1]:104:STORE SCP", Peer("::1", 104, "STORE SCP")),
        ("pacs:104:A:B", Peer("pacs", 104, "A:B")),
    ],
)
def test_an_archive_is_read(text: str, peer: Peer) -> None:
    assert Peer.parse(text) == peer


@pytest.mark.parametrize(
    "text", ["", "pacs", "pacs:104", "pacs:104:", "pacs:x:A", "::1:104:A", "p:65536:A", "p:1: A"]
)
def test_what_is_no_archive_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="--send-to"):
        Peer.parse(text)


@pytest.mark.parametrize("title", ["", " A", "A ", "A\\B", "A\nB", "Ä", "A" * 17])
def test_what_is_no_ae_title_is_refused(title: str) -> None:
    with pytest.raises(SettingsError, match="--ae-title"):
        NodeSettings(ARCHIVE, ae_title=title)
    with pytest.raises(SettingsError, match="--allow"):
        NodeSettings(ARCHIVE, allow=("GOOD", title))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "node.example.org", ""])
def test_others_than_this_machine_must_be_allowed(host: str) -> None:
    with pytest.raises(SettingsError, match="--allow"):
        NodeSettings(ARCHIVE, host=host)
    assert NodeSettings(ARCHIVE, host=host, allow=("MODALITY",)).host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_everybody_on_this_machine_may_call(host: str) -> None:
    assert NodeSettings(ARCHIVE, host=host).allow == ()


def test_pauses_double_up_to_the_most() -> None:
    retries = Retries(first_s=1, most_s=300)
    assert [retries.pause_s(tries) for tries in (1, 2, 3, 9, 10, 10_000)] == [
        1,
        2,
        4,
        256,
        300,
        300,
    ]


def test_counts_in_the_text_of_prometheus() -> None:
    counters = Counters()
    counters.add("received")
    counters.add("received")
    text = counters.prometheus({"instances": {"sent": 3}, "associations": {"": 1}})
    lines = text.splitlines()
    assert "# TYPE boneage_node_received_total counter" in lines
    assert "boneage_node_received_total 2" in lines
    assert "boneage_node_sent_total 0" in lines
    assert 'boneage_node_instances{state="sent"} 3' in lines
    assert "boneage_node_associations 1" in lines
    assert counters.line() == "received 2"
    with pytest.raises(KeyError):
        counters.add("what was never thought of")
