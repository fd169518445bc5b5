"""A model on disk: a folder, or a zip of it, with ``model.onnx`` and ``card.json``.

``weights.safetensors`` may lie beside them, for training on. Nothing in a bundle is code, and
nothing is unpacked: the members are read by their exact names, up to a size limit, and compared
with the SHA-256 in the card, so that a damaged weight is an error and not a wrong bone age.
"""

import contextlib
import dataclasses
import hashlib
import os
import tempfile
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path

from boneage.errors import BundleError, RunExistsError
from boneage.files import atomic_path, output_errors
from boneage.inference.card import Card

__all__ = ["CARD_FILE", "MODEL_FILE", "WEIGHTS_FILE", "Bundle", "read_card", "write_bundle"]

CARD_FILE = "card.json"
MODEL_FILE = "model.onnx"
WEIGHTS_FILE = "weights.safetensors"

_MAX_BYTES = {CARD_FILE: 2**20, MODEL_FILE: 2**30, WEIGHTS_FILE: 2**31}

# How the key "location" of TensorProto.external_data is encoded (onnx.proto: field 1 of
# StringStringEntryProto). A graph with external data would make ONNX Runtime open other files.
_EXTERNAL_DATA = b"\n\x08location"


@dataclass(frozen=True, eq=False)
class Bundle:
    """An opened bundle.

    Attributes:
        path: The folder or zip that it was read from.
        card: What is known of the model.
        onnx_bytes: The graph: inputs ``image`` float32 (N, 1, S, S) in 0..1 and ``sex`` float32
            (N,), 1 for male and 0 for female; output ``bone_age_months`` float32 (N,).
    """

    path: Path
    card: Card
    onnx_bytes: bytes = field(repr=False)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> "Bundle":
        """Read a bundle.

        Args:
            path: The folder, or the zip of it.

        Raises:
            BundleError: There is none, a file of it is missing or damaged, or it is of a release
                that this one cannot read.
        """
        card = read_card(path)
        onnx = _read_checked(Path(path), MODEL_FILE, card)
        _refuse_external_data(onnx, f"{path}: {MODEL_FILE}")
        return cls(path=Path(path), card=card, onnx_bytes=onnx)

    def read_weights(self) -> bytes | None:
        """Content of ``weights.safetensors``, or None if the bundle comes without.

        Raises:
            BundleError: The file is missing though the card lists it, or it is damaged.
        """
        if WEIGHTS_FILE not in self.card.files:
            return None
        return _read_checked(self.path, WEIGHTS_FILE, self.card)


def read_card(path: str | os.PathLike[str]) -> Card:
    """Read only the card of a bundle: quick, whatever the size of the model.

    Args:
        path: The folder, or the zip of it.

    Raises:
        BundleError: There is no bundle, or its card is missing, damaged or of a release that this
            one cannot read.
    """
    source = f"{os.fspath(path)}: {CARD_FILE}"
    return Card.from_json(_read_member(Path(path), CARD_FILE), source=source)


def write_bundle(
    path: str | os.PathLike[str],
    *,
    onnx: bytes,
    card: Card,
    weights: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a bundle, all of it or nothing.

    Args:
        path: The folder to make; if it ends in ``.zip``, a zip file.
        onnx: The graph, with its weights inside.
        card: What is known of the model; ``files`` is filled in here.
        weights: A safetensors file to copy into the bundle, for training on.
        overwrite: Replace an older bundle at ``path``. Anything else there is never removed.

    Returns:
        The path that was written.

    Raises:
        BundleError: The graph keeps its weights in another file, or is too large.
        RunExistsError: Something is at ``path`` already, and it is no bundle or ``overwrite`` was
            not asked for.
        OutputError: The system refused to write.
    """
    target = Path(path)
    _refuse_external_data(onnx, MODEL_FILE)
    contents = {MODEL_FILE: onnx}
    if weights is not None:
        try:
            contents[WEIGHTS_FILE] = Path(weights).read_bytes()
        except OSError as error:
            raise BundleError(f"Cannot read the weights {os.fspath(weights)}: {error}.") from error
    for name, content in contents.items():
        if len(content) > _MAX_BYTES[name]:
            raise BundleError(f"{name} has {len(content)} bytes; {_MAX_BYTES[name]} is the limit.")
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    text = dataclasses.replace(card, files=digests).to_json()
    contents = {CARD_FILE: text.encode("utf-8"), **contents}
    _refuse_occupied(target, overwrite)
    if target.suffix.lower() == ".zip":
        _write_zip(target, contents)
    else:
        _write_folder(target, contents)
    return target


def _write_zip(target: Path, contents: dict[str, bytes]) -> None:
    with atomic_path(target) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, content in contents.items():
            # Weights do not compress; a fixed date makes equal bundles equal files.
            archive.writestr(zipfile.ZipInfo(name), content)


def _write_folder(target: Path, contents: dict[str, bytes]) -> None:
    with output_errors(target), contextlib.ExitStack() as stack:
        target.parent.mkdir(parents=True, exist_ok=True)
        # A folder inside a private one: rename keeps the mode, and mkdtemp makes it owner-only.
        private = stack.enter_context(
            tempfile.TemporaryDirectory(prefix=f".{target.name[:60]}.", dir=target.parent)
        )
        made = Path(private) / "new"
        made.mkdir()
        for name, content in contents.items():
            (made / name).write_bytes(content)
        if target.is_dir() and any(target.iterdir()):
            aside = Path(private) / "old"
            target.rename(aside)
            try:
                made.rename(target)
            except OSError:
                aside.rename(target)
                raise
        else:
            made.rename(target)


def _refuse_occupied(target: Path, overwrite: bool) -> None:
    """Raise unless ``target`` is free, an empty folder, or an older bundle that may go."""
    if not os.path.lexists(target):
        return
    if target.is_dir() and not target.is_symlink() and not any(target.iterdir()):
        return
    if target.is_dir() and target.suffix.lower() != ".zip":
        known = {CARD_FILE, MODEL_FILE, WEIGHTS_FILE}
        is_bundle = {entry.name for entry in target.iterdir()} <= known
    else:
        is_bundle = zipfile.is_zipfile(target) and target.suffix.lower() == ".zip"
    if target.is_symlink() or not is_bundle:
        raise RunExistsError(
            f"{target} is there already and is not a model bundle alone, so it is not replaced. "
            "Choose another name."
        )
    if not overwrite:
        raise RunExistsError(
            f"{target} is there already. Choose another name, or say --overwrite to replace it."
        )


def _read_checked(path: Path, name: str, card: Card) -> bytes:
    """A member of the bundle whose SHA-256 is that of the card."""
    wanted = card.files.get(name)
    if wanted is None:
        raise BundleError(f"{path}: {CARD_FILE} does not list {name}. Get the model again.")
    content = _read_member(path, name)
    if hashlib.sha256(content).hexdigest() != wanted:
        raise BundleError(
            f"{path}: {name} is damaged: it is not the file that {CARD_FILE} describes. "
            "Get the model again."
        )
    return content


def _read_member(path: Path, name: str) -> bytes:
    """Content of one file of a bundle, from the folder or straight out of the zip."""
    try:
        if path.is_dir():
            return _read_from_folder(path, name)
        if not path.exists():
            raise BundleError(f"There is no model at {path}. Give a bundle: a folder or a zip.")
        with zipfile.ZipFile(path) as archive:
            return _read_from_zip(archive, name, path)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        detail = f"{name} in it cannot be read" if zipfile.is_zipfile(path) else "it is not a zip"
        raise BundleError(f"The model {path} is damaged: {detail} ({error}).") from error
    except OSError as error:
        raise BundleError(f"Cannot read {name} of the model {path}: {error}.") from error


def _read_from_folder(folder: Path, name: str) -> bytes:
    file = folder / name
    if not file.is_file():
        raise BundleError(
            f"{folder} is not a complete model bundle: {name} is missing. "
            f"A bundle holds {CARD_FILE} and {MODEL_FILE}."
        )
    _refuse_too_large(file.stat().st_size, f"{folder}: {name}", name)
    return file.read_bytes()


def _read_from_zip(archive: zipfile.ZipFile, name: str, path: Path) -> bytes:
    """A member that lies at the top of the zip, or in one folder as zipping a folder makes it."""
    members = [
        info
        for info in archive.infolist()
        if info.filename == name or info.filename.split("/")[1:] == [name]
    ]
    if not members:
        raise BundleError(
            f"{path} is not a complete model bundle: {name} is missing. "
            f"A bundle holds {CARD_FILE} and {MODEL_FILE}."
        )
    if len(members) > 1:
        raise BundleError(f"{path} holds {name} more than once; a bundle holds one model.")
    member = members[0]
    if member.flag_bits & 1:
        raise BundleError(f"{path}: {name} is encrypted. Zip the bundle without a password.")
    _refuse_too_large(member.file_size, f"{path}: {name}", name)
    with archive.open(member) as stream:
        # Never more than the directory of the zip has promised, whatever the stream would give.
        return stream.read(member.file_size)


def _refuse_too_large(count: int, what: str, name: str) -> None:
    if count > _MAX_BYTES[name]:
        raise BundleError(f"{what} has {count} bytes; {_MAX_BYTES[name]} is the limit.")


def _refuse_external_data(onnx: bytes, what: str) -> None:
    if _EXTERNAL_DATA in onnx:
        raise BundleError(
            f"{what} keeps its weights in another file. Export it with the weights inside."
        )
