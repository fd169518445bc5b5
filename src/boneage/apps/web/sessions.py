"""Who has shown the token, told by a cookie."""

import hashlib
import hmac
import secrets
import time

from starlette.datastructures import Headers
from starlette.requests import cookie_parser

__all__ = ["COOKIE", "SESSION_S", "Sessions", "cookie_in"]

COOKIE = "boneage_session"

SESSION_S = 12 * 3600
"""Seconds after which somebody has to sign in again."""

_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 3.0


def cookie_in(headers: Headers) -> str:
    """The cookie of a request; empty without one."""
    return cookie_parser(headers.get("cookie", "")).get(COOKIE, "")


class Sessions:
    """Cookies of those who have shown the token: a day and time, signed with the token.

    What was ended early is known until it runs out, or the server is started anew.
    """

    def __init__(self, token: str) -> None:
        self._token = token.encode()
        # So that a restart with the same token ends no session, the key is the token's alone.
        self._key = hashlib.sha256(b"boneage session:" + self._token).digest()
        self._ended: dict[str, int] = {}
        self._wrong = 0

    def is_token(self, text: str) -> bool:
        """Whether it is the token; the time taken does not tell how much of it is right."""
        return hmac.compare_digest(text.encode("utf-8", "replace"), self._token)

    def signs_in(self, text: str) -> float:
        """Note that somebody tries to sign in.

        Returns:
            Seconds to wait before it is refused: more with every wrong try since the last right
            one, whoever tries; 0 if it is the token.
        """
        self._wrong = 0 if self.is_token(text) else min(self._wrong + 1, 10)
        return min(_FIRST_PAUSE_S * 2 ** (self._wrong - 1), _LONGEST_PAUSE_S) if self._wrong else 0

    def issue(self) -> str:
        """A new cookie's value."""
        head = f"{int(time.time()) + SESSION_S}.{secrets.token_urlsafe(12)}"
        return f"{head}.{self._sign(head)}"

    def holds(self, cookie: str) -> bool:
        """Whether a cookie was issued here, has not run out and was not ended."""
        head, _, signature = cookie.rpartition(".")
        if not hmac.compare_digest(signature.encode("utf-8", "replace"), self._sign(head).encode()):
            return False
        return _end_of(head) > time.time() and head not in self._ended

    def end(self, cookie: str) -> None:
        """Let a cookie hold no longer, whoever has a copy of it."""
        if self.holds(cookie):
            now = time.time()
            self._ended = {head: end for head, end in self._ended.items() if end > now}
            head = cookie.rpartition(".")[0]
            self._ended[head] = _end_of(head)

    def _sign(self, head: str) -> str:
        return hmac.new(self._key, head.encode("utf-8", "replace"), "sha256").hexdigest()


def _end_of(head: str) -> int:
    return int(head.partition(".")[0])
