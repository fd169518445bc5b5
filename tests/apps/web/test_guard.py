"""Who may ask, what browsers are told, and that every error is a problem."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from api_tools import ApiServer, parts, problem, rows

from boneage.apps.web.sessions import Sessions

TOKEN = "a-token-of-these-tests-0123"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
FORM = "multipart/form-data; boundary=x"
CLOSED = ["/", "/api/v1/model", "/api/v1/openapi.json", "/metrics", "/nowhere"]


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory, explaining: Path) -> Iterator[ApiServer]:
    """A server that asks for a token and goes by another name, too."""
    folder = tmp_path_factory.mktemp("locked") / "server"
    options = ["--model", str(explaining), "--workers", "1", "--allow-host", "boneage.example.org"]
    running = ApiServer(folder, *options, token=TOKEN)
    yield running
    running.close()


@pytest.mark.parametrize("path", CLOSED)
def test_without_the_token_nothing_is_told(locked: ApiServer, path: str) -> None:
    answer = locked.http.get(path)
    problem(answer, 401)
    assert answer.headers["www-authenticate"].startswith("Bearer")
    for wrong in ("Bearer", "Bearer wrong-token-0123456789", f"Basic {TOKEN}", TOKEN):
        problem(locked.http.get(path, headers={"Authorization": wrong}), 401)


def test_nor_predicted(locked: ApiServer, hand: Path) -> None:
    problem(locked.predict(hand), 401)
    assert rows(locked.predict(hand, headers=BEARER))[0]["status"] == "ok"


def test_what_needs_no_token(locked: ApiServer) -> None:
    assert locked.http.get("/health").status_code == 200
    assert locked.http.get("/sign-in").status_code == 200


def test_people_sign_in_and_out(locked: ApiServer) -> None:
    html = {"Accept": "text/html"}
    with httpx.Client(base_url=locked.http.base_url, headers=html) as visitor:
        answer = visitor.get("/")
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
        wrong = visitor.post("/sign-in", data={"token": "wrong-token-0123456789"})
        assert (wrong.status_code, "set-cookie" in wrong.headers) == (403, False)
        right = visitor.post("/sign-in", data={"token": f" {TOKEN}\n"})
        assert (right.status_code, right.headers["location"]) == (303, "/")
        cookie = right.headers["set-cookie"]
        assert TOKEN not in cookie
        assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
        assert visitor.get("/").status_code == 200
        assert visitor.get("/api/v1/model").status_code == 200
        value = visitor.cookies["boneage_session"]
        visitor.post("/sign-out")
        assert visitor.get("/").status_code == 303
        copy = {
            "Cookie": f"boneage_session={value}"
        }  # what somebody else has of it is worth nothing
        assert visitor.get("/", headers=copy).status_code == 303


@pytest.mark.parametrize("path", ["/report", "/results", "/table", "/"])
def test_a_form_of_a_session_that_ran_out_leads_to_the_sign_in(
    locked: ApiServer, hand: Path, path: str
) -> None:
    html = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    answer = locked.http.post(path, files=parts([hand]), headers=html)
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    problem(locked.http.post(path, files=parts([hand])), 401)
    # What the page asks for a part of itself must not become the sign-in page.
    problem(
        locked.http.post(path, files=parts([hand]), headers={**html, "HX-Request": "true"}), 401
    )


def test_the_wrong_token_is_refused_more_slowly_each_time() -> None:
    sessions = Sessions(TOKEN)
    pauses = [sessions.signs_in("wrong") for _ in range(100)]
    assert pauses == sorted(pauses)
    assert 0 < pauses[0] < pauses[1] < pauses[-1] < 5
    assert sessions.signs_in(TOKEN) == 0
    assert sessions.signs_in("wrong") == pauses[0]


def test_a_name_without_a_token_is_warned_of(
    tmp_path: Path, explaining: Path, locked: ApiServer
) -> None:
    options = ["--model", str(explaining), "--workers", "1", "--allow-host", "boneage.example.org"]
    server = ApiServer(tmp_path / "open", *options)
    try:
        assert "--allow-host without a token" in server.log
        assert locked.log == ""
    finally:
        server.close()


@pytest.mark.parametrize("path", ["/health", "/", "/api/v1/model", "/static/style.css"])
def test_head_gives_what_get_gives_without_the_body(api: ApiServer, path: str) -> None:
    got, asked = api.http.get(path), api.http.head(path)
    assert (asked.status_code, asked.content) == (200, b"")
    for name in ("content-type", "content-length", "content-security-policy"):
        assert asked.headers[name] == got.headers[name]
    assert api.http.get(path).content == got.content  # the connection is as it was
    problem(api.http.get("/api/v1/predictions"), 405)


def test_behind_a_proxy_with_tls_the_cookie_is_for_tls_alone(locked: ApiServer) -> None:
    for scheme in ("http", "https"):
        with httpx.Client(base_url=locked.http.base_url) as visitor:
            headers = {"X-Forwarded-Proto": scheme}
            answer = visitor.post("/sign-in", data={"token": TOKEN}, headers=headers)
        assert ("Secure" in answer.headers["set-cookie"].split("; ")) == (scheme == "https")


@pytest.mark.parametrize("change", ["later", "cut", "other", "none"])
def test_a_cookie_cannot_be_made_up(locked: ApiServer, change: str) -> None:
    issued = locked.http.post("/sign-in", data={"token": TOKEN}).cookies["boneage_session"]
    locked.http.cookies.clear()
    until, rest = issued.split(".", 1)
    made = {"later": f"{int(until) + 1}.{rest}", "cut": until, "other": "x" * 40, "none": ""}
    header = {"Cookie": f"boneage_session={made[change]}"}
    problem(locked.http.get("/api/v1/model", headers=header), 401)
    header = {"Cookie": f"other=1; boneage_session={issued}"}
    assert locked.http.get("/api/v1/model", headers=header).status_code == 200


def test_the_document_says_that_a_token_is_asked_for(locked: ApiServer, api: ApiServer) -> None:
    document = locked.http.get("/api/v1/openapi.json", headers=BEARER).json()
    assert document["security"] == [{"token": []}]
    assert "security" not in api.http.get("/api/v1/openapi.json").json()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:9", "[::1]:8000", "LOCALHOST."])
def test_names_of_this_machine_are_known(api: ApiServer, host: str) -> None:
    assert api.http.get("/health", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "a b", "127.0.0.2"])
def test_other_names_are_not(api: ApiServer, host: str) -> None:
    problem(api.http.get("/health", headers={"Host": host}), 421)


def test_a_name_can_be_allowed(locked: ApiServer, api: ApiServer) -> None:
    header = {"Host": "boneage.example.org"}
    assert locked.http.get("/health", headers=header).status_code == 200
    problem(api.http.get("/health", headers=header), 421)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://evil.example"},
    ],
)
def test_another_site_cannot_have_anything_done(
    api: ApiServer, hand: Path, headers: dict[str, str]
) -> None:
    problem(api.predict(hand, headers=headers), 403)
    assert api.http.get("/", headers=headers).status_code == 200  # a link may lead here


def test_this_site_can(api: ApiServer, hand: Path) -> None:
    own = str(api.http.base_url).rstrip("/")
    for headers in ({"Origin": own}, {"Sec-Fetch-Site": "same-origin", "Origin": own}):
        assert api.predict(hand, headers=headers).status_code == 200


@pytest.mark.parametrize("path", ["/", "/health", "/nowhere", "/api/v1/model", "/static/style.css"])
def test_browsers_are_told_to_run_nothing_from_elsewhere(api: ApiServer, path: str) -> None:
    headers = api.http.get(path).headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert "server" not in headers
    assert "access-control-allow-origin" not in headers
    if not path.startswith("/static"):
        assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/static/../settings.py", 404),
        ("GET", "/static/%2e%2e/settings.py", 404),
        ("GET", "/docs", 404),
        ("GET", "/api/v1/predictions", 405),
        ("DELETE", "/api/v1/model", 405),
        ("TRACE", "/", 405),
        ("POST", "/api/v1/predictions", 415),
    ],
)
def test_every_error_is_a_problem(api: ApiServer, method: str, path: str, status: int) -> None:
    answer = api.http.request(method, path)
    problem(answer, status)
    assert (status == 405) == ("allow" in answer.headers)


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"", "multipart/form-data", 422),
        (b"", FORM, 422),
        (b"--x--\r\n", FORM, 422),
        (b"--y\r\n\r\nz\r\n--y--\r\n", FORM, 422),
        (b"--x\r\n\r\nz\r\n--x--\r\n", FORM, 422),
        (b"--x\r\nContent-Disposition: form-data\r\n\r\nz\r\n--x--", FORM, 422),
        (b"--x\r\nA: " + b"b" * 5000 + b"\r\n\r\nz\r\n--x--", FORM, 422),
        (b"sex=female", "application/x-www-form-urlencoded", 415),
        (b"{}", "application/json", 415),
        (b"x" * 100, "multipart/form-data; boundary=" + "y" * 400, 422),
    ],
)
def test_a_damaged_form_is_a_problem(api: ApiServer, body: bytes, kind: str, status: int) -> None:
    problem(
        api.http.post("/api/v1/predictions", content=body, headers={"Content-Type": kind}), status
    )


def test_what_is_no_http_is_a_problem(api: ApiServer) -> None:
    import socket

    url = httpx.URL(str(api.http.base_url))
    with socket.create_connection((url.host, url.port or 80), timeout=30) as connection:
        connection.sendall(b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"application/problem+json" in answer
