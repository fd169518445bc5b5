import dataclasses
import hashlib
import os
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper
from tiny_models import tiny_bundle, tiny_card, tiny_onnx

from boneage.errors import BundleError, OutputError, RunExistsError
from boneage.inference.bundle import Bundle, read_card, write_bundle


def zip_of(folder: Path, path: Path, *, inside: str = "") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, inside + file.name)
    return path


@pytest.mark.parametrize("name", ["bundle", "bundle.zip", "with spaces/bündel", "v1.2"])
def test_a_bundle_is_read_back(tmp_path: Path, name: str) -> None:
    weights = tmp_path / "w.safetensors"
    weights.write_bytes(b"weights")
    path = write_bundle(tmp_path / name, onnx=tiny_onnx(), card=tiny_card(), weights=weights)
    bundle = Bundle.open(path)
    assert bundle.onnx_bytes == tiny_onnx()
    assert bundle.read_weights() == b"weights"
    wanted = tiny_card(files=bundle.card.files)
    assert bundle.card == read_card(path) == wanted
    assert bundle.card.files["model.onnx"] == hashlib.sha256(tiny_onnx()).hexdigest()
    assert path.parent.is_dir()
    assert [p.name for p in path.parent.iterdir() if p.name.startswith(".")] == []


def test_weights_are_optional(tmp_path: Path) -> None:
    path = tiny_bundle(tmp_path / "b")
    assert Bundle.open(path).read_weights() is None
    assert sorted(file.name for file in path.iterdir()) == ["card.json", "model.onnx"]


def test_others_may_read_what_was_written(tmp_path: Path) -> None:
    umask = os.umask(0o022)
    try:
        folder = tiny_bundle(tmp_path / "b")
        archive = tiny_bundle(tmp_path / "b.zip")
    finally:
        os.umask(umask)
    assert folder.stat().st_mode & 0o777 == 0o755
    assert (folder / "model.onnx").stat().st_mode & 0o777 == 0o644
    assert archive.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("inside", ["", "bundle/"])
def test_a_zip_of_the_folder_is_a_bundle(tmp_path: Path, inside: str) -> None:
    path = zip_of(tiny_bundle(tmp_path / "b"), tmp_path / "b.zip", inside=inside)
    assert Bundle.open(path).onnx_bytes == tiny_onnx()


def test_an_older_bundle_goes_only_when_asked(tmp_path: Path) -> None:
    for name in ("b", "b.zip"):
        path = tiny_bundle(tmp_path / name, name="first")
        with pytest.raises(RunExistsError, match="--overwrite"):
            tiny_bundle(path, name="second")
        assert read_card(path).name == "first"
        write_bundle(path, onnx=tiny_onnx(), card=tiny_card(name="second"), overwrite=True)
        assert read_card(path).name == "second"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["b", "b.zip"]


@pytest.mark.parametrize("name", ["work", "thesis.zip", "notes.txt"])
def test_what_is_no_bundle_is_never_replaced(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if path.suffix:
        path.write_text("precious")
    else:
        tiny_bundle(path)
        (path / "thesis.tex").write_text("precious")
    with pytest.raises(RunExistsError, match="not replaced"):
        write_bundle(path, onnx=tiny_onnx(), card=tiny_card(), overwrite=True)
    assert (path if path.suffix else path / "thesis.tex").read_text() == "precious"


def test_an_empty_folder_may_become_the_bundle(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    assert Bundle.open(tiny_bundle(tmp_path / "b")).card.name == "tiny"


def test_a_place_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for name in ("file/b", "file/b.zip"):
        with pytest.raises(OutputError, match="Choose another"):
            tiny_bundle(tmp_path / name)


def test_weights_that_are_gone(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"gone\.safetensors"):
        write_bundle(
            tmp_path / "b", onnx=b"", card=tiny_card(), weights=tmp_path / "gone.safetensors"
        )
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("name", ["card.json", "model.onnx"])
@pytest.mark.parametrize("zipped", [False, True])
def test_a_missing_file_is_named(tmp_path: Path, name: str, zipped: bool) -> None:
    path = tiny_bundle(tmp_path / "b")
    (path / name).unlink()
    if zipped:
        path = zip_of(path, tmp_path / "b.zip")
    with pytest.raises(BundleError, match=f"{name} is missing") as caught:
        Bundle.open(path)
    assert str(path) in str(caught.value)


def test_weights_that_the_card_lists_must_be_there(tmp_path: Path) -> None:
    weights = tmp_path / "w"
    weights.write_bytes(b"weights")
    path = write_bundle(tmp_path / "b", onnx=tiny_onnx(), card=tiny_card(), weights=weights)
    (path / "weights.safetensors").unlink()
    with pytest.raises(BundleError, match=r"weights\.safetensors is missing"):
        Bundle.open(path).read_weights()


def test_there_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"There is no model at .*nowhere"):
        Bundle.open(tmp_path / "nowhere")
    (tmp_path / "a.zip").write_text("no zip")
    with pytest.raises(BundleError, match=r"a\.zip is damaged: it is not a zip"):
        Bundle.open(tmp_path / "a.zip")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BundleError, match=r"card\.json is missing"):
        Bundle.open(tmp_path / "empty")


@given(st.data())
def test_one_wrong_byte_in_the_graph_is_an_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tiny_bundle(tmp_path_factory.mktemp("damaged") / "b")
    graph = bytearray((path / "model.onnx").read_bytes())
    at = data.draw(st.integers(0, len(graph) - 1))
    graph[at] ^= data.draw(st.integers(1, 255))
    (path / "model.onnx").write_bytes(graph)
    with pytest.raises(BundleError, match=r"model\.onnx is damaged"):
        Bundle.open(path)


@given(st.data())
def test_a_damaged_zip_gives_an_error_or_the_same_model(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    whole = zip_of(tiny_bundle(folder / "b"), folder / "b.zip").read_bytes()
    content = bytearray(whole)
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    (folder / "b.zip").write_bytes(content)
    try:
        read = Bundle.open(folder / "b.zip").onnx_bytes
    except BundleError:
        return
    assert read == tiny_onnx()


def test_a_zip_with_a_name_twice_is_ambiguous(tmp_path: Path) -> None:
    path = zip_of(tiny_bundle(tmp_path / "b"), tmp_path / "b.zip")
    with zipfile.ZipFile(path, "a") as archive:
        archive.write(tmp_path / "b" / "model.onnx", "other/model.onnx")
    with pytest.raises(BundleError, match="more than once"):
        Bundle.open(path)


def test_a_zip_cannot_reach_out(tmp_path: Path) -> None:
    folder = tiny_bundle(tmp_path / "b")
    path = tmp_path / "b.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(folder / "card.json", "card.json")
        archive.writestr("../model.onnx", b"")
        archive.writestr("/model.onnx.d/model.onnx", b"")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(BundleError):
        Bundle.open(path)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_zip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("card.json", b" " * (2**20 + 1))
    with pytest.raises(BundleError, match="is the limit"):
        Bundle.open(path)


def test_a_zip_that_lies_about_a_size_gives_no_more_than_it_said(tmp_path: Path) -> None:
    path = tmp_path / "liar.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("card.json", b" " * 2**20)
    size = (2**20).to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(size, (100).to_bytes(4, "little")))
    with pytest.raises(BundleError, match=r"card\.json"):
        Bundle.open(path)


def test_weights_in_another_file_are_refused(tmp_path: Path) -> None:
    outside = helper.make_tensor("w", TensorProto.FLOAT, [1], [0.0])
    outside.ClearField("float_data")
    outside.data_location = TensorProto.EXTERNAL
    outside.external_data.add(key="location", value="/etc/hostname")
    graph = helper.make_graph([], "g", [], [], [outside])
    content = helper.make_model(graph).SerializeToString()
    with pytest.raises(BundleError, match="weights inside"):
        write_bundle(tmp_path / "b", onnx=content, card=tiny_card())
    path = tiny_bundle(tmp_path / "b")
    (path / "model.onnx").write_bytes(content)
    files = {"model.onnx": hashlib.sha256(content).hexdigest()}
    (path / "card.json").write_text(dataclasses.replace(tiny_card(), files=files).to_json())
    with pytest.raises(BundleError, match="weights inside"):
        Bundle.open(path)
