"""Bodies of requests: multipart forms (RFC 7578) in memory, within limits, and never on disk."""

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs

import python_multipart
from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.requests import ClientDisconnect

from boneage.apps.web.problems import CLIENT_GONE, ProblemError
from boneage.apps.web.settings import MEGABYTE, Limits

__all__ = ["Form", "Held", "Upload", "fields_in", "open_body", "open_form"]

_MOST_FIELDS = 32
_FIELD_BYTES = 10_000
_NAME_CHARACTERS = 255  # what file systems commonly take
_HEADERS_BYTES = 1000  # of one part
_FOR_ALL_ELSE = 100_000  # bytes of a request that are neither files nor fields

_UNNAMED = "radiograph"
_CONTROLS = re.compile(r"[\x00-\x1f\x7f\u0080-\u009f\u2028\u2029]")
_HELD = "Too much is being uploaded at the moment. Try again in 2 s."


@dataclass(frozen=True)
class Upload:
    """A file of a form.

    Attributes:
        name: Its name without a folder, without control characters, never empty.
        data: Its bytes.
    """

    name: str
    data: bytes = field(repr=False)


@dataclass(frozen=True)
class Form:
    """A form that was sent.

    Attributes:
        files: The files in order, whatever field they came in.
        fields: The other fields; none comes twice.
    """

    files: tuple[Upload, ...]
    fields: Mapping[str, str]


class Held:
    """How many bytes of uploads are in memory, all requests together."""

    def __init__(self, limits: Limits) -> None:
        self._most = limits.held_bytes
        self.bytes = 0

    def take(self, count: int) -> None:
        """Note more bytes.

        Raises:
            ProblemError: There is no room for them.
        """
        if self.bytes + count > self._most:
            raise ProblemError(429, _HELD, headers={"Retry-After": "2"})
        self.bytes += count

    def give_back(self, count: int) -> None:
        """Note that bytes are gone."""
        self.bytes -= count


@contextlib.asynccontextmanager
async def open_form(
    request: Request, limits: Limits, *, file_fields: frozenset[str] = frozenset({"files"})
) -> AsyncIterator[Form]:
    """Read the multipart form of a request; its bytes count as held until the block ends.

    Args:
        request: The request.
        limits: How much is taken.
        file_fields: Names of the fields that are files.

    Yields:
        The form.

    Raises:
        ProblemError: 415 if it is no multipart form, 413 if it is too large, 422 if it is damaged
            or has more than it may, 408 if it takes too long, 429 if there is no room for it now.
    """
    kind, options = parse_options_header(request.headers.get("content-type"))
    if kind != b"multipart/form-data":
        raise ProblemError(415, "Send the files as multipart/form-data.")
    parts = _Parts(limits, file_fields)
    with contextlib.ExitStack() as stack:
        try:
            parser = python_multipart.MultipartParser(options.get(b"boundary", b""), parts.calls())  # type: ignore[arg-type]
            chunks = _chunks(request, limits, limits.request_bytes, stack)
            async with contextlib.aclosing(chunks):  # else its timer runs on after an error
                async for chunk in chunks:
                    parser.write(chunk)
        except FormParserError as error:
            raise ProblemError(
                422, "The form is damaged: it is no proper multipart body."
            ) from error
        yield parts.form()


@contextlib.asynccontextmanager
async def open_body(request: Request, limits: Limits, most_bytes: int) -> AsyncIterator[bytes]:
    """Read a whole body that is no multipart form.

    Yields:
        The bytes.

    Raises:
        ProblemError: As :func:`open_form`.
    """
    with contextlib.ExitStack() as stack:
        body = bytearray()
        async for chunk in _chunks(request, limits, most_bytes, stack):
            body += chunk
        yield bytes(body)


def fields_in(body: bytes) -> dict[str, str]:
    """The fields of a form without files (``application/x-www-form-urlencoded``).

    Raises:
        ProblemError: 422: there are too many.
    """
    try:
        fields = parse_qs(body.decode("utf-8", "replace"), max_num_fields=_MOST_FIELDS)
    except ValueError as error:
        raise ProblemError(422, f"There are more than {_MOST_FIELDS} fields.") from error
    return {name: values[0] for name, values in fields.items()}


async def _chunks(
    request: Request, limits: Limits, most_bytes: int, stack: contextlib.ExitStack
) -> AsyncGenerator[bytes, None]:
    """The body, noted as held until the stack is unwound."""
    too_large = ProblemError(
        413, f"The request is larger than {most_bytes / MEGABYTE:g} MB, the limit here."
    )
    announced = request.headers.get("content-length", "0")
    if int(announced) > most_bytes + _FOR_ALL_ELSE:
        raise too_large
    held: Held = request.app.state.held
    count = 0
    stack.callback(lambda: held.give_back(count))
    try:
        async with asyncio.timeout(limits.upload_s):
            async for chunk in request.stream():
                if count + len(chunk) > most_bytes + _FOR_ALL_ELSE:
                    raise too_large
                held.take(len(chunk))
                count += len(chunk)
                yield chunk
    except TimeoutError:
        raise ProblemError(
            408,
            f"The upload took longer than {limits.upload_s:g} s, the limit here.",
            headers={"Connection": "close"},
        ) from None
    except ClientDisconnect:
        raise ProblemError(CLIENT_GONE, "The caller went away.") from None


class _Parts:
    """The parts of a form as the parser finds them."""

    def __init__(self, limits: Limits, file_fields: frozenset[str]) -> None:
        self._limits, self._file_fields = limits, file_fields
        self._files: list[Upload] = []
        self._fields: dict[str, str] = {}
        self._header, self._value = b"", b""
        self._count, self._whole = -1, False
        self._begin()

    def calls(self) -> dict[str, object]:
        """What the parser calls."""
        return {
            "on_part_begin": self._begin,
            "on_part_data": self._data,
            "on_part_end": self._end,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_end": self._all,
        }

    def form(self) -> Form:
        """What was sent, if all of it arrived."""
        if not self._whole:
            raise ProblemError(422, "The form is cut short: its closing boundary is missing.")
        return Form(tuple(self._files), self._fields)

    def _begin(self) -> None:
        self._disposition = b""
        self._field = ""
        self._filename: str | None = None
        self._content = bytearray()  # not a list: a caller may send byte by byte
        self._most, self._headers = 0, 0
        self._count += 1
        if self._count > self._limits.files + _MOST_FIELDS + 1:
            raise ProblemError(413, "The form has too many parts.")

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._headers += len(self._header) + len(self._value)
        if self._headers > _HEADERS_BYTES:
            raise ProblemError(422, "The form is damaged: a part has too long headers.")
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header, self._value = b"", b""

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        if b"name" not in options:
            raise ProblemError(422, "The form is damaged: a part has no name.")
        self._field = _text(options[b"name"])
        if b"filename" in options:
            # As browsers write a quotation mark (HTML standard, multipart form data).
            self._filename = _text(options[b"filename"]).replace("%22", '"')
        if (self._filename is not None) != (self._field in self._file_fields):
            detail = "This is no field for a file."
            if self._filename is None:
                detail = "Send a file with its name, not a text."
            raise _wrong(self._field, detail)
        if self._is_file:
            self._most = self._limits.file_bytes
            if len(self._files) >= self._limits.files:
                raise ProblemError(
                    413, f"There are more than {self._limits.files} files, the limit here."
                )
        else:
            self._most = _FIELD_BYTES
            if len(self._fields) >= _MOST_FIELDS:
                raise ProblemError(422, f"There are more than {_MOST_FIELDS} fields.")

    @property
    def _is_file(self) -> bool:
        return self._filename is not None

    def _data(self, data: bytes, start: int, end: int) -> None:
        if len(self._content) + end - start > self._most:
            name = base_name(self._filename or "") if self._is_file else self._field
            limit = f"{self._most / MEGABYTE:g} MB" if self._is_file else f"{self._most} bytes"
            raise ProblemError(413, f"{name} is larger than {limit}, the limit here.")
        self._content += data[start:end]

    def _end(self) -> None:
        content = bytes(self._content)
        if self._is_file:
            # An empty choice of files in a page comes as a file without name and content.
            if self._filename or content:
                self._files.append(Upload(base_name(self._filename or ""), content))
        elif self._field in self._fields:
            raise _wrong(self._field, "It is given twice.")
        else:
            self._fields[self._field] = _text(content)
        self._content.clear()

    def _all(self) -> None:
        self._whole = True


def base_name(name: str) -> str:
    """The name of an uploaded file without a folder, of whatever system, and without controls."""
    last = _CONTROLS.sub("_", re.split(r"[\\/]", name)[-1])[-_NAME_CHARACTERS:]
    return _UNNAMED if last.strip(". ") == "" else last


def _wrong(name: str, detail: str) -> ProblemError:
    errors = [{"field": name, "detail": detail}]
    return ProblemError(422, "A field is not as it must be.", errors=errors)


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
