"""What a server may be told, and what it refuses to be."""

from pathlib import Path
from typing import Any

import pytest

from boneage.apps.web.settings import Limits, ServeSettings, read_token
from boneage.errors import InputError, SettingsError

TOKEN = "0123456789abcdef"


@pytest.mark.parametrize(
    ("changes", "flag"),
    [
        ({"port": 65536}, "--port"),
        ({"workers": 0}, "--workers"),
        ({"level": 1.0}, "--level"),
        ({"allow_host": ("http://x/",)}, "--allow-host"),
        ({"allow_host": ("x:80",)}, "--allow-host"),
        ({"allow_host": ("",)}, "--allow-host"),
        ({"token": "0123456789"}, "--token-file"),
        ({"token": "0123456789 abcdef"}, "--token-file"),
        ({"token": 20 * "x"}, "--token-file"),
        ({"token": 10 * "abcdefg"}, "--token-file"),
        ({"host": "0.0.0.0"}, "--token-file"),
        ({"host": "192.0.2.1"}, "--token-file"),
        ({"host": "example.org"}, "--token-file"),
    ],
)
def test_a_server_refuses(changes: dict[str, Any], flag: str) -> None:
    with pytest.raises(SettingsError, match=flag):
        ServeSettings(**changes)


@pytest.mark.parametrize(
    ("changes", "flag"),
    [
        ({"file_mb": 0}, "--max-mb"),
        ({"request_mb": 4001}, "--max-request-mb"),
        ({"held_mb": 255}, "--max-held-mb"),
        ({"files": 0}, "--max-files"),
        ({"pixels": 250_000_001}, "--max-pixels"),
        ({"waiting": 0}, "--max-waiting"),
        ({"upload_s": 0}, "--upload-timeout"),
        ({"work_s": float("nan")}, "--work-timeout"),
        ({"connections": 0}, "--max-connections"),
    ],
)
def test_limits_have_their_own(changes: dict[str, Any], flag: str) -> None:
    with pytest.raises(SettingsError, match=f"{flag} must be within"):
        Limits(**changes)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_loopback_needs_no_token(host: str) -> None:
    assert ServeSettings(host=host).token is None


def test_a_token_is_not_shown() -> None:
    settings = ServeSettings(
        host="0.0.0.0", token=TOKEN, allow_host=("a.example", "[::1]", "10.0.0.1")
    )
    assert TOKEN not in repr(settings)


def test_a_token_comes_from_a_file_or_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    assert read_token(file, "other") == TOKEN
    assert read_token(None, TOKEN) == TOKEN
    assert read_token(None, "") is read_token(None, None) is None
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="it is no text"):
        read_token(file, None)
    with pytest.raises(InputError, match="No such file"):
        read_token(tmp_path / "none", None)
