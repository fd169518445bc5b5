"""Each limit by itself: what is over is refused before it costs anything, and the next is taken."""

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import httpx
import numpy as np
import pydicom
import pytest
from api_tools import ApiServer, parts, problem, rows, wait_for
from dicom_files import write_dicom
from tiny_models import hand_pixels

from boneage.radiographs.readers import child_in_bytes

LIMITS = {
    "--max-mb": 1,
    "--max-request-mb": 2,
    "--max-held-mb": 2,
    "--max-files": 3,
    "--max-pixels": 50_000,
    "--max-waiting": 2,
    "--max-connections": 8,
    "--upload-timeout": 1,
}


@pytest.fixture(scope="module")
def tight(tmp_path_factory: pytest.TempPathFactory, explaining: Path) -> Iterator[ApiServer]:
    """A server with narrow limits."""
    options = [str(word) for pair in LIMITS.items() for word in pair]
    folder = tmp_path_factory.mktemp("tight") / "server"
    running = ApiServer(folder, "--model", str(explaining), "--workers", "1", *options)
    yield running
    running.close()


@pytest.fixture(autouse=True)
def it_goes_on(request: pytest.FixtureRequest, hand: Path) -> Iterator[None]:
    """After every refusal the server answers the next."""
    yield
    if "tight" in request.fixturenames:
        server = request.getfixturevalue("tight")
        assert rows(server.predict(hand))[0]["status"] == "ok"
        assert server.log == ""  # a refusal is no fault


def test_a_large_file(tight: ApiServer) -> None:
    body = problem(tight.predict(("large.png", bytes(1_000_001))), 413)
    assert body["detail"] == "large.png is larger than 1 MB, the limit here."
    assert rows(tight.predict(("large.png", bytes(1_000_000))))[0]["status"] == "failed"


def test_a_large_request(tight: ApiServer) -> None:
    three = [(f"{n}.png", bytes(900_000)) for n in range(3)]
    assert "larger than 2 MB" in problem(tight.predict(*three), 413)["detail"]


def test_a_large_request_that_does_not_say_so(tight: ApiServer) -> None:
    def endless() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n'
        for _ in range(40):
            yield bytes(65_536)

    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = tight.http.post("/api/v1/predictions", content=endless(), headers=kind)
    assert "Transfer-Encoding" in answer.request.headers
    problem(answer, 413)


def test_many_files(tight: ApiServer, hand: Path) -> None:
    assert "more than 3 files" in problem(tight.predict(*[hand] * 4), 413)["detail"]
    assert len(rows(tight.predict(*[hand] * 3))) == 3


def test_many_fields_and_a_long_one(tight: ApiServer, hand: Path) -> None:
    many = {f"field{n}": "1" for n in range(40)}
    assert "more than 32 fields" in problem(tight.predict(hand, **many), 422)["detail"]
    problem(tight.predict(hand, norm="b" * 20_000), 413)


def test_a_table(tight: ApiServer) -> None:
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    many = tight.http.post("/table", content=b"a=1&" * 400_000, headers=kind)
    assert "more than 32 fields" in problem(many, 422)["detail"]
    long = tight.http.post("/table", content=b"rows=" + b"[" * 3_200_000, headers=kind)
    assert "larger than 3 MB" in problem(long, 413)["detail"]
    deep = tight.http.post("/table", content=b"rows=" + b"[" * 1_900_000, headers=kind)
    assert problem(deep, 422)["detail"] == "These are no rows of a table."


def test_many_empty_parts(tight: ApiServer) -> None:
    part = b'--x\r\nContent-Disposition: form-data; name="files"; filename=""\r\n\r\n\r\n'
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    for count, status in ((3, 422), (100, 413)):  # an empty choice is no file
        body = part * count + b"--x--\r\n"
        problem(tight.http.post("/api/v1/predictions", content=body, headers=kind), status)


def test_byte_by_byte(tight: ApiServer, hand: Path) -> None:
    made = httpx.Request("POST", "http://x", files=[("files", ("hand.png", hand.read_bytes()))])
    body = made.read()[:3000] + b"\r\n--%b--\r\n" % made.headers["Content-Type"][30:].encode()
    kind = {"Content-Type": made.headers["Content-Type"]}
    single = (body[at : at + 1] for at in range(len(body)))
    (row,) = rows(tight.http.post("/api/v1/predictions", content=single, headers=kind))
    assert (row["path"], row["status"]) == ("hand.png", "failed")  # it is cut short


def test_many_pixels(tight: ApiServer) -> None:
    large = cv2.resize(hand_pixels(), (250, 250))
    (row,) = rows(tight.predict(("large.png", cv2.imencode(".png", large)[1].tobytes())))
    assert row["status"] == "failed"
    assert "beyond the limit of 50,000 pixels" in row["message"]


def test_a_large_header(tight: ApiServer, tmp_path: Path) -> None:
    """What a deflated file is when it is unpacked counts where only its header is read."""
    plain = write_dicom(tmp_path / "plain.dcm", hand_pixels(), PatientSex="F")
    assert tight.http.post("/inspect", files=parts([plain])).json()["sex"] == "female"
    held = pydicom.dcmread(plain)
    held.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    held.PixelData = bytes(5_000_000)
    held.Rows, held.Columns = 2500, 1000
    held.save_as(tmp_path / "packed.dcm", enforce_file_format=True)
    packed = tmp_path / "packed.dcm"
    assert child_in_bytes(packed.read_bytes()).sex == "female"
    found = tight.http.post("/inspect", files=parts([packed])).json()
    assert found == {"sex": None, "age_months": None, "taken": None}


def test_a_bomb_is_told_by_its_header(tight: ApiServer) -> None:
    packed = cv2.imencode(".png", np.zeros((9000, 9000), np.uint8))[1].tobytes()
    (row,) = rows(tight.predict(("bomb.png", packed)))
    assert "beyond the limit" in row["message"]


def test_a_full_queue(tight: ApiServer, hand: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        with tight.stopped_worker():
            first = pool.submit(tight.predict, hand, hand, hand)  # one in work, two wait
            wait_for(lambda: tight.metric("boneage_waiting") == 2)
            refused = tight.predict(hand)
            body = problem(refused, 429)
            assert int(refused.headers["retry-after"]) >= 1
            assert refused.headers["retry-after"] in body["detail"]
        assert [row["status"] for row in rows(first.result())] == ["ok"] * 3
    assert tight.metric('boneage_requests_total{route="/api/v1/predictions",status="429"}') >= 1


def test_a_request_that_finds_none_waiting_is_taken_whole(tight: ApiServer, hand: Path) -> None:
    begun = tight.metric("boneage_waiting_seconds_count")
    with ThreadPoolExecutor(2) as pool:
        with tight.stopped_worker():
            first = pool.submit(tight.predict, hand)
            wait_for(lambda: tight.metric("boneage_waiting_seconds_count") > begun)
            second = pool.submit(tight.predict, hand, hand, hand)  # more than may wait
            wait_for(lambda: tight.metric("boneage_waiting") == 3)
        assert len(rows(first.result()) + rows(second.result())) == 4


def upload_slowly(server: ApiServer, data: bytes) -> socket.socket:
    """Announce more than is sent."""
    url = httpx.URL(str(server.http.base_url))
    connection = socket.create_connection((url.host, url.port or 80), timeout=30)
    connection.sendall(
        b"POST /api/v1/predictions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1900000\r\n"
        b"Content-Type: multipart/form-data; boundary=x\r\n\r\n" + data
    )
    return connection


def test_a_slow_upload(tight: ApiServer) -> None:
    with upload_slowly(tight, b"--x\r\n") as connection:
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))  # until it is closed
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"application/problem+json" in answer


def test_what_all_uploads_hold_together(tight: ApiServer, hand: Path) -> None:
    part = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n'
    gone = 'boneage_requests_total{route="/api/v1/predictions",status="499"}'
    before = tight.metric(gone)

    def refused() -> httpx.Response | None:
        """An answer while two uploads stand still; none if the server has not come so far."""
        half = part + bytes(990_000)
        with upload_slowly(tight, half), upload_slowly(tight, half):
            answer = tight.predict(("b.png", bytes(900_000)))
        return None if answer.status_code == 200 else answer

    answer = wait_for(refused)
    problem(answer, 429)
    assert answer.headers["retry-after"] == "2"
    wait_for(lambda: tight.metric(gone) >= before + 2)
    wait_for(lambda: tight.predict(hand).status_code == 200)  # what broke off is given back


def test_many_connections(tight: ApiServer) -> None:
    url = httpx.URL(str(tight.http.base_url))
    address = (url.host, url.port or 80)
    tight.http.get("/health")
    opened = [socket.create_connection(address, timeout=30) for _ in range(12)]
    try:
        time.sleep(0.2)
        said = [one.recv(4096) for one in opened[-3:]]
        assert all(text.startswith(b"HTTP/1.1 503 ") for text in said)
        assert all(b"Retry-After: 2" in text for text in said)
        assert tight.http.get("/health").status_code == 200  # by the connection that was there
    finally:
        for one in opened:
            one.close()


def test_a_caller_that_goes_away_leaves_no_work_behind(tight: ApiServer, hand: Path) -> None:
    url = httpx.URL(str(tight.http.base_url))
    made = httpx.Request("POST", url.join("/api/v1/predictions"), files=[("files", ("a", b"x"))])
    lines = ["POST /api/v1/predictions HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in made.headers.items()]
    begun = tight.metric("boneage_waiting_seconds_count")
    with ThreadPoolExecutor(1) as pool, tight.stopped_worker():
        kept = pool.submit(tight.predict, hand)
        wait_for(lambda: tight.metric("boneage_waiting_seconds_count") > begun)
        with socket.create_connection((url.host, url.port or 80), timeout=30) as connection:
            connection.sendall("\r\n".join([*lines, "", ""]).encode() + made.read())
            wait_for(lambda: tight.metric("boneage_waiting") >= 1)
        wait_for(lambda: tight.metric("boneage_waiting") == 0)
    assert rows(kept.result())[0]["status"] == "ok"
