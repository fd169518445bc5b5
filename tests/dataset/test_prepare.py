import copy
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

import boneage
from boneage.dataset.data import Data
from boneage.dataset.prepared import PreparedData
from boneage.dataset.records import Reason
from boneage.errors import InputError, NoInputError, OutputError, SettingsError
from boneage.radiographs.preparation import Preparation, PreparationSettings
from boneage.radiographs.readers import read_radiograph

# Finding the hand is tested elsewhere; here it would take most of the time.
SMALL = PreparationSettings(size_px=64, crop=False, stretch=False)
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(boneage.__file__).parents[1])}
# Enough images for processes to be worth starting.
MANY = [f"{number:04}" for number in range(1000, 1080)]


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory, make_data) -> Path:
    """A folder of 80 images; tests may not change it."""
    return make_data(tmp_path_factory.mktemp("many"), MANY)


def open_data(folder: Path, cache: Path, **options: object) -> Data:
    return Data(folder, preparation=SMALL, cache=cache, **options)  # type: ignore[arg-type]


def script(folder: Path, cache: Path, then: str = "") -> str:
    """A script without a main guard, as people write them."""
    return textwrap.dedent(f"""
        from boneage import Data
        from boneage.radiographs.preparation import PreparationSettings
        small = PreparationSettings(size_px=64, crop=False, stretch=False)
        data = Data({str(folder)!r}, preparation=small, cache={str(cache)!r})
        prepared = data.prepare(workers=2)
        print(len(prepared), prepared.images[0].mean())
    """) + textwrap.dedent(then)


def wait_until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def expected_image(path: Path) -> np.ndarray:
    image = Preparation(SMALL)(read_radiograph(path)).image
    return np.rint(image * 255).astype(np.uint8)


def only(folder: Path, pattern: str) -> Path:
    (found,) = folder.glob(pattern)
    return found


def test_prepared_data_holds_images_and_labels_row_by_row(many: Path, tmp_path: Path) -> None:
    data = open_data(many, tmp_path)
    prepared = data.prepare(workers=2)
    assert prepared.ids == tuple(sorted(MANY))
    assert prepared.images.shape == (80, 64, 64)
    assert prepared.images.dtype == np.uint8
    for row in (0, 64, 79):
        assert np.array_equal(prepared.images[row], expected_image(data.records[row].path))
    assert prepared.sexes.dtype == prepared.bone_ages_months.dtype == np.float32
    assert list(prepared.sexes[:3]) == [1.0, 0.0, 1.0]
    assert list(prepared.bone_ages_months[:3]) == [10.0, 11.0, 12.0]
    assert prepared.summary() == "80 radiographs prepared; none discarded"
    in_one_process = open_data(many, tmp_path / "other").prepare(workers=1)
    assert np.array_equal(np.asarray(prepared.images), np.asarray(in_one_process.images))


def test_the_second_run_takes_what_the_first_made(many: Path, tmp_path: Path) -> None:
    first = open_data(many, tmp_path).prepare()
    file = only(tmp_path, "prepared/*/images.npy")
    before = file.stat()
    second = open_data(many, tmp_path).prepare()
    assert file.stat().st_mtime_ns == before.st_mtime_ns
    assert np.array_equal(first.images[:], second.images[:])
    # Nothing is left behind, and another size is another cache.
    assert sorted(path.name for path in file.parent.iterdir()) == ["images.npy", "index.json"]
    assert list((tmp_path / "prepared").iterdir()) == [file.parent]
    Data(many, preparation=replace(SMALL, size_px=32), cache=tmp_path).prepare()
    assert len(list(tmp_path.glob("prepared/*/images.npy"))) == 2


def test_a_moved_folder_keeps_its_cache_and_a_changed_image_does_not(
    tmp_path: Path, make_data, draw_image
) -> None:
    cache = tmp_path / "cache"
    folder = make_data(tmp_path / "here", ["1", "2"])
    open_data(folder, cache).prepare()
    moved = folder.rename(tmp_path / "there")
    open_data(moved, cache).prepare()
    assert len(list(cache.glob("prepared/*/index.json"))) == 1
    draw_image(moved / "images" / "2.png", 77)
    prepared = open_data(moved, cache).prepare()
    assert len(list(cache.glob("prepared/*/index.json"))) == 2
    assert np.array_equal(prepared.images[1], expected_image(moved / "images" / "2.png"))


def test_folders_that_look_the_same_from_outside_are_told_apart(tmp_path: Path) -> None:
    shades = {"a": 50, "b": 200}
    for name, shade in shades.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "labels.csv").write_text("id,boneage,male\n1,10,1\n")
        image = tmp_path / name / "1.tif"
        cv2.imwrite(
            str(image), np.full((16, 16), shade, np.uint8), [cv2.IMWRITE_TIFF_COMPRESSION, 1]
        )
        os.utime(image, (1, 1))
    sizes = {(tmp_path / name / "1.tif").stat().st_size for name in shades}
    assert len(sizes) == 1
    for name, shade in shades.items():
        prepared = Data(tmp_path / name, preparation=None, cache=tmp_path / "cache").prepare()
        assert prepared.images[0,].max() == shade


def test_new_labels_need_no_new_images(tmp_path: Path, make_data) -> None:
    folder = make_data(tmp_path / "data", ["1", "2"])
    open_data(folder, tmp_path / "cache").prepare()
    (folder / "labels.csv").write_text("id,boneage,male\n2,77,False\n1,66,False\n")
    prepared = open_data(folder, tmp_path / "cache").prepare()
    assert list(prepared.bone_ages_months) == [66, 77]
    assert len(list(tmp_path.glob("cache/prepared/*"))) == 1


def test_the_cache_is_where_the_environment_says(
    tmp_path: Path, make_data, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_data(tmp_path / "data", ["1"])
    monkeypatch.setenv("BONEAGE_CACHE", str(tmp_path / "named"))
    Data(folder, preparation=SMALL).prepare()
    monkeypatch.delenv("BONEAGE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    Data(folder, preparation=SMALL).prepare()
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    Data(folder, preparation=SMALL).prepare()
    for place in ("named", "xdg/boneage", "home/.cache/boneage"):
        assert only(tmp_path / place, "prepared/*/images.npy").is_file()


@pytest.mark.parametrize("workers", [1, 2])
def test_bad_images_become_discards(tmp_path: Path, make_data, draw_image, workers: int) -> None:
    folder = make_data(tmp_path / "data", MANY)
    (folder / "images" / "1003.png").write_bytes(b"this is no image")
    (folder / "images" / "1070.png").write_bytes(b"")
    cv2.imwrite(str(folder / "images" / "1078.png"), np.full((50, 50), 9, np.uint8))
    draw_image(folder / "images" / "9999.png", 9)
    data = open_data(folder, tmp_path / "cache")
    for prepared in (data.prepare(workers=workers), data.prepare(workers=workers)):
        found = [(item.id, item.reason) for item in prepared.discarded]
        assert found == [
            ("9999", Reason.IMAGE_WITHOUT_LABEL),
            ("1003", Reason.UNREADABLE),
            ("1070", Reason.UNREADABLE),
            ("1078", Reason.UNSUITABLE),
        ]
        assert len(prepared) == len(prepared.images) == len(prepared.sexes) == 77
        assert "1003.png" in prepared.discarded[1].detail
        row = prepared.ids.index("1079")
        assert np.array_equal(prepared.images[row], expected_image(folder / "images" / "1079.png"))
        assert prepared.bone_ages_months[row] == 89
    prepared.write_discarded(tmp_path / "discarded.csv")
    assert (tmp_path / "discarded.csv").read_text().count("\n") == 5
    assert "2 unreadable images, 1 unsuitable image" in prepared.summary()
    # Parts that were chosen before the images were read do without what is unreadable.
    assert data.subset(["1002", "1003"]).prepare().ids == ("1002",)
    assert prepared.subset(["1003", "1004", "1002"]).ids == ("1002", "1004")


def test_nothing_but_bad_images_is_an_error_and_not_kept(tmp_path: Path, make_data) -> None:
    folder = make_data(tmp_path / "data", ["1", "2"])
    for name in "12":
        (folder / "images" / f"{name}.png").write_bytes(b"no image")
    data = open_data(folder, tmp_path / "cache")
    with pytest.raises(NoInputError, match=r"Not one of the 2 images .*1\.png"):
        data.prepare()
    assert list((tmp_path / "cache" / "prepared").iterdir()) == []


def test_an_image_that_vanishes_is_a_discard(tmp_path: Path, make_data) -> None:
    data = open_data(make_data(tmp_path / "data", ["1", "2"]), tmp_path / "cache")
    path = data.records[0].path
    path.rename(path.with_suffix(".away"))
    assert data.prepare().ids == ("2",)
    path.with_suffix(".away").rename(path)
    assert data.prepare().ids == ("1", "2")


def test_parts_share_the_images_of_the_whole(many: Path, tmp_path: Path) -> None:
    data = open_data(many, tmp_path)
    train, validation = data.split(fraction=0.2)
    of_train, of_validation = train.prepare(), validation.prepare()
    assert len(list((tmp_path / "prepared").iterdir())) == 1
    assert (len(of_train), len(of_validation)) == (64, 16)
    assert of_validation.ids == tuple(record.id for record in validation.records)
    whole = data.prepare()
    assert np.array_equal(whole.subset(of_validation.ids).images[:], of_validation.images[:])
    few = open_data(many, tmp_path / "few").subset(MANY[:3]).prepare()
    assert few.images.shape == np.load(only(tmp_path / "few", "prepared/*/images.npy")).shape


def test_a_subset_copies_no_image(many: Path, tmp_path: Path) -> None:
    prepared = open_data(many, tmp_path).prepare()
    part = prepared.subset(reversed(MANY[10:70]))
    assert part.ids == tuple(MANY[10:70])
    assert np.array_equal(part.images[[5, 3]], prepared.images[[15, 13]])
    assert np.array_equal(part.bone_ages_months, prepared.bone_ages_months[10:70])
    assert list(prepared.rows_of(["1002", "1000"])) == [2, 0]
    again = pickle.loads(pickle.dumps(part))
    assert np.array_equal(again.images[:], part.images[:])
    assert len(pickle.dumps(part)) < 64 * 64 * 3
    # What is handed out may be changed without changing the cache.
    image = part.images[0]
    image[:] = 0
    assert part.images[0].any()
    assert sum(1 for _ in part.images) == 60
    with pytest.raises(InputError, match="as nobody"):
        prepared.subset(["1000", "nobody"])


def test_prepared_data_can_be_made_of_arrays() -> None:
    images = np.arange(3 * 4 * 4, dtype=np.uint8).reshape(3, 4, 4)
    zeros = np.zeros(3, np.float32)
    data = PreparedData(images, ("a", "b", "c"), zeros, zeros)
    assert np.array_equal(data.subset(["c", "a"]).images, images[[0, 2]])
    with pytest.raises(SettingsError, match="equally long"):
        PreparedData(images, ("a", "b"), zeros, zeros)
    with pytest.raises(SettingsError, match="uint8"):
        PreparedData(images.astype(np.float32), ("a", "b", "c"), zeros, zeros)  # type: ignore[arg-type]


def test_fewer_than_one_worker_is_refused(many: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="--workers"):
        open_data(many, tmp_path).prepare(workers=0)


# --- preparation switched off


def write_plain(folder: Path, images: dict[str, np.ndarray]) -> Path:
    folder.mkdir()
    for name, pixels in images.items():
        cv2.imwrite(str(folder / name), pixels)
    lines = [f"{Path(name).stem},10,True" for name in images]
    (folder / "labels.csv").write_text("\n".join(["id,boneage,male", *lines]))
    return folder


def test_without_preparation_images_are_taken_as_they_are(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    eight = rng.integers(0, 256, (20, 20), dtype=np.uint8)
    sixteen = rng.integers(0, 65536, (20, 20), dtype=np.uint16)
    folder = write_plain(tmp_path / "data", {"8.png": eight, "16.png": sixteen})
    prepared = Data(folder, preparation=None, cache=tmp_path / "cache").prepare()
    assert prepared.ids == ("16", "8")
    assert np.array_equal(prepared.images[1], eight)
    assert np.array_equal(prepared.images[0], np.rint(sixteen / 257).astype(np.uint8))


@pytest.mark.parametrize(
    ("shape", "words"),
    [((20, 30), "2.png is 30 px wide and 20 px high"), ((16, 16), "2.png is 16 px")],
)
def test_without_preparation_images_must_be_square_and_alike(
    tmp_path: Path, shape: tuple[int, int], words: str
) -> None:
    images = {"1.png": np.ones((20, 20), np.uint8), "2.png": np.ones(shape, np.uint8)}
    data = Data(write_plain(tmp_path / "data", images), preparation=None, cache=tmp_path / "cache")
    with pytest.raises(InputError, match="With preparation off") as error:
        data.prepare()
    assert words in str(error.value)


# --- several processes, and builds that are cut off


@pytest.mark.parametrize("how", ["file", "stdin", "-c"])
def test_any_script_can_prepare(many: Path, tmp_path: Path, how: str) -> None:
    text = script(many, tmp_path / "cache")
    (tmp_path / "script.py").write_text(text)
    # A file that must not be mistaken for the module of that name.
    (tmp_path / "json.py").write_text("raise SystemExit('the wrong json')")
    arguments = {"file": ["../script.py"], "stdin": [], "-c": ["-P", "-c", text]}[how]
    (tmp_path / "work").mkdir()
    done = subprocess.run(
        [sys.executable, *(["-P"] if how != "-c" else []), *arguments],
        input=text if how == "stdin" else "",
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        cwd=tmp_path / "work" if how == "file" else tmp_path,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("80 ")
    assert done.stdout.count("\n") == 1


def test_processes_that_want_the_same_images_share_one_build(many: Path, tmp_path: Path) -> None:
    text = script(many, tmp_path)
    running = [
        subprocess.Popen(
            [sys.executable, "-c", text], stdout=subprocess.PIPE, text=True, env=ENVIRONMENT
        )
        for _ in range(3)
    ]
    outputs = {process.communicate(timeout=60)[0] for process in running}
    assert [process.returncode for process in running] == [0, 0, 0]
    assert len(outputs) == 1
    only(tmp_path, "prepared/*")
    prepared = open_data(many, tmp_path).prepare()
    for row in range(0, 80, 8):
        path = many / "images" / f"{prepared.ids[row]}.png"
        assert np.array_equal(prepared.images[row], expected_image(path))


def slow_folder(tmp_path: Path, draw_image) -> Path:
    """Images that take long enough to interrupt a build of them."""
    first = draw_image(tmp_path / "data" / "1000.png", 1, 700, 560)
    lines = ["id,boneage,male", "1000,10,True"]
    for number in range(1001, 1120):
        os.link(first, first.with_name(f"{number}.png"))
        lines.append(f"{number},{number - 990},True")
    (tmp_path / "data" / "labels.csv").write_text("\n".join(lines))
    return tmp_path / "data"


@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_build_goes_on_where_it_stopped(
    tmp_path: Path, draw_image, kind: signal.Signals
) -> None:
    folder, cache = slow_folder(tmp_path, draw_image), tmp_path / "cache"
    quick = "import boneage.dataset.building as b; b._NOTE_SECONDS = 0\n"
    process = subprocess.Popen(
        [sys.executable, "-c", quick + script(folder, cache)],
        env=ENVIRONMENT,
        stderr=subprocess.PIPE,
        # Background jobs of a shell, and so their children, may ignore it from the start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    notes = lambda: list(cache.glob("prepared/*.partial/done.jsonl"))  # noqa: E731
    wait_until(lambda: bool(notes()) and notes()[0].stat().st_size > 0)
    process.send_signal(kind)
    process.communicate(timeout=30)
    assert process.returncode != 0
    # Nothing is taken for finished.
    assert not list(cache.glob("prepared/*/index.json"))
    half = [json.loads(line)[0] for line in notes()[0].read_text().splitlines()]
    assert 0 < len(half) < 120
    # Mark what was finished, to see that it is not made again.
    file = only(cache, "prepared/*.partial/images.npy")
    array = np.load(file, mmap_mode="r+")
    array[half[0]] = 123
    array.flush()
    prepared = open_data(folder, cache).prepare()
    assert len(prepared) == 120
    assert np.all(prepared.images[half[0]] == 123)
    last = max(set(range(120)) - set(half))
    assert np.array_equal(prepared.images[last], expected_image(folder / "1000.png"))
    assert len(list((cache / "prepared").iterdir())) == 1


def test_a_half_build_that_does_not_fit_is_begun_anew(many: Path, tmp_path: Path) -> None:
    open_data(many, tmp_path).prepare()
    finished = only(tmp_path, "prepared/*")
    partial = finished.with_name(f"{finished.name}.partial")
    expected = (finished / "images.npy").read_bytes()
    for images, notes in [
        (b"damaged", '[0, "", ""]\n'),
        (expected[:-1], '[0, "", ""]\n'),
        (b"\0" * len(expected), '[0, "", ""]\n'),
        (expected, 'nonsense\n3\n[0, "", ""]\n[1, "'),
    ]:
        shutil.rmtree(finished)
        partial.mkdir()
        (partial / "images.npy").write_bytes(images)
        (partial / "done.jsonl").write_text(notes)
        open_data(many, tmp_path).prepare()
        assert (finished / "images.npy").read_bytes() == expected


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("index.json", b"{"),
        ("index.json", b"[]"),
        ("index.json", b'{"key": "another", "ids": [], "empty": []}'),
        ("images.npy", b"short"),
        ("images.npy", None),
    ],
)
def test_a_damaged_cache_is_made_again(
    tmp_path: Path, make_data, name: str, content: bytes | None
) -> None:
    data = open_data(make_data(tmp_path / "data", ["1", "2", "3"]), tmp_path / "cache")
    expected = data.prepare().images[:]
    file = only(tmp_path / "cache", f"prepared/*/{name}")
    if content is None:
        file.write_bytes(file.read_bytes()[:-100])
    else:
        file.write_bytes(content)
    assert np.array_equal(data.prepare().images[:], expected)
    assert len(list((tmp_path / "cache" / "prepared").iterdir())) == 1


def children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task")
    return [int(child) for task in tasks.glob("*/children") for child in task.read_text().split()]


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="looks for processes in /proc")
def test_a_killed_worker_is_an_error_and_the_next_run_goes_on(tmp_path: Path, draw_image) -> None:
    folder, cache = slow_folder(tmp_path, draw_image), tmp_path / "cache"
    process = subprocess.Popen(
        [sys.executable, "-c", script(folder, cache)],
        env=ENVIRONMENT,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: len(children(process.pid)) == 2)
    workers = children(process.pid)
    os.kill(workers[0], signal.SIGKILL)
    _, errors = process.communicate(timeout=30)
    assert "OutputError" in errors
    assert "killed by signal 9" in errors
    assert "fewer workers" in errors
    wait_until(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))
    assert len(open_data(folder, cache).prepare()) == 120


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="looks for processes in /proc")
def test_workers_end_with_their_parent(tmp_path: Path, draw_image) -> None:
    folder = slow_folder(tmp_path, draw_image)
    process = subprocess.Popen(
        [sys.executable, "-c", script(folder, tmp_path / "cache")], env=ENVIRONMENT
    )
    wait_until(lambda: len(children(process.pid)) == 2)
    workers = children(process.pid)
    process.kill()
    process.wait()
    wait_until(lambda: not any(alive(worker) for worker in workers))


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on file sizes")
@pytest.mark.parametrize("limit", [100_000, 300_000])
def test_a_disk_that_is_full_is_an_output_error(many: Path, tmp_path: Path, limit: int) -> None:
    text = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
    done = subprocess.run(
        [sys.executable, "-c", text + script(many, tmp_path)],
        capture_output=True, text=True, env=ENVIRONMENT, check=False, timeout=60,
    )  # fmt: skip
    assert "OutputError: Cannot write" in done.stderr
    # The room is given back.
    assert list((tmp_path / "prepared").iterdir()) == []


def test_a_cache_that_cannot_be_made_is_an_output_error(many: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file is in the way")
    with pytest.raises(OutputError, match="cache"):
        open_data(many, tmp_path / "cache").prepare()


@pytest.mark.real_data
def test_the_originals_and_their_copies_can_be_prepared(shared_data: Path, tmp_path: Path) -> None:
    originals = Data(shared_data / "rsna-originals", cache=tmp_path)
    copies = Data(shared_data / "rsna-100px", cache=tmp_path).subset(
        record.id for record in originals.records
    )
    for data in (originals, copies):
        prepared = data.prepare()
        assert prepared.images.shape == (14, 256, 256)
        assert prepared.discarded == ()
    assert copy.copy(copies).records == copies.records
