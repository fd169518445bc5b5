import csv
import shutil
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boneage.dataset.data import Data
from boneage.dataset.records import Reason
from boneage.errors import InputError, LabelsError, NoInputError, SettingsError
from boneage.radiographs.radiograph import Sex

IDS = ["1", "2", "3"]


def reasons(data: Data) -> list[tuple[str, Reason]]:
    return [(item.id, item.reason) for item in data.discarded]


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("images", "labels.csv"),
        ("boneage-training-dataset", "boneage-training-dataset.csv"),
        (".", "anything.csv"),
        ("archive/archive", "labels.tsv"),
        ("images", "images/labels.csv"),
    ],
)
def test_images_and_labels_are_found_by_looking(
    tmp_path: Path, make_data, images: str, labels: str
) -> None:
    made = make_data(tmp_path / "made", IDS)
    folder = tmp_path / "data"
    shutil.copytree(made / "images", folder / images)
    shutil.copy(made / "labels.csv", folder / labels)
    # None of these is a label table or an images folder.
    (folder / "split.csv").write_text("id,split\n1,train\n")
    (folder / "original-sizes.csv").write_text("id,width,height\n1,10,10\n")
    (folder / "broken.csv").write_bytes(b"\x00\x01")
    (folder / "notes").mkdir()
    (folder / "notes" / "readme.txt").write_text("nothing")
    (folder / ".hidden").mkdir()
    shutil.copy(made / "images" / "1.png", folder / ".hidden" / "1.png")
    shutil.copy(made / "images" / "1.png", folder / images / "._1.png")
    data = Data(folder)
    assert [record.id for record in data.records] == IDS
    assert data.discarded == ()
    assert data.test is None
    assert data.records[0].path == folder / images / "1.png"
    assert data.summary() == "3 radiographs paired; none discarded"


@pytest.mark.parametrize(
    "names", ["Training Test training.csv test.csv", "TRAINING test TRAINING.CSV Test.CSV"]
)
def test_the_four_part_layout_is_found(tmp_path: Path, make_data, names: str) -> None:
    training, test, training_csv, test_csv = names.split()
    for ids, images, labels in [(IDS, training, training_csv), (["8", "9"], test, test_csv)]:
        made = make_data(tmp_path / f"made-{images}", ids)
        shutil.copytree(made / "images", tmp_path / "data" / images)
        shutil.copy(made / "labels.csv", tmp_path / "data" / labels)
    data = Data(tmp_path / "data")
    assert [record.id for record in data.records] == IDS
    assert data.test is not None
    assert [record.id for record in data.test.records] == ["8", "9"]
    assert data.summary().endswith("Test: 2 radiographs paired; none discarded")


def test_images_and_labels_can_be_named(tmp_path: Path, make_data) -> None:
    make_data(tmp_path, IDS)
    make_data(tmp_path / "more", ["5"])
    shutil.copy(tmp_path / "more" / "labels.csv", tmp_path / "other.csv")
    with pytest.raises(LabelsError, match=r"labels\.csv, other\.csv.*--labels"):
        Data(tmp_path)
    data = Data(tmp_path, images=tmp_path / "more" / "images", labels=tmp_path / "other.csv")
    assert [record.id for record in data.records] == ["5"]


def test_relative_paths_outlive_a_change_of_folder(
    tmp_path: Path, make_data, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_data(tmp_path / "data", IDS)
    monkeypatch.chdir(tmp_path)
    data = Data("data", cache="cache")
    monkeypatch.chdir("/")
    assert len(data.prepare()) == 3
    assert (tmp_path / "cache").is_dir()


def test_several_image_folders_are_named(tmp_path: Path, make_data, draw_image) -> None:
    make_data(tmp_path, IDS)
    draw_image(tmp_path / "others" / "4.png", 4)
    with pytest.raises(InputError, match=r"images, others.*--images"):
        Data(tmp_path)


def test_an_incomplete_four_part_layout_says_what_is_missing(tmp_path: Path, draw_image) -> None:
    draw_image(tmp_path / "Training" / "1.png", 1)
    draw_image(tmp_path / "Test" / "2.png", 1)
    (tmp_path / "training.csv").write_text("id,boneage,male\n1,10,True\n")
    with pytest.raises(InputError, match=r"Test, Training.*add test\.csv"):
        Data(tmp_path)


def test_what_is_missing_is_said(tmp_path: Path, make_data) -> None:
    with pytest.raises(NoInputError, match=r"no data folder .*nowhere"):
        Data(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(NoInputError, match=r"no images in .*empty"):
        Data(tmp_path / "empty")
    folder = make_data(tmp_path / "data", IDS)
    with pytest.raises(InputError, match=r"labels\.csv is a file"):
        Data(folder / "labels.csv")
    with pytest.raises(NoInputError, match=r"no images folder images\. Did you mean .*data"):
        Data(folder, images="images")
    with pytest.raises(LabelsError, match=r"no label table labels\.csv\. Did you mean .*data"):
        Data(folder, labels="labels.csv")
    (folder / "labels.csv").rename(folder / "labels.txt")
    with pytest.raises(LabelsError, match=r"no label table .*--labels"):
        Data(folder)
    (folder / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(LabelsError, match=r"None of the tables .*other\.csv.*id,boneage,male"):
        Data(folder)


def test_ids_that_never_meet_are_shown(tmp_path: Path, make_data) -> None:
    folder = make_data(tmp_path, ["img_1", "img_2", "img_3", "img_4"])
    (folder / "labels.csv").write_text("id,boneage,male\n4,10,True\n5,10,True\n6,10,1\n7,9,1\n")
    with pytest.raises(LabelsError) as error:
        Data(folder)
    for word in ["'img_1', 'img_2', 'img_3';", "'4', '5', '6'.", "images", "labels.csv"]:
        assert word in str(error.value)


def test_nothing_usable_says_why(tmp_path: Path, make_data) -> None:
    folder = make_data(tmp_path, IDS)
    (folder / "labels.csv").write_text("id,boneage,male\n1,999,True\n2,10,\n3,x,1\n")
    with pytest.raises(LabelsError, match=r"3 discarded: 1 label without a sex, 2 impossible"):
        Data(folder)


def test_everything_left_out_is_listed_once(tmp_path: Path, make_data, draw_image) -> None:
    folder = make_data(tmp_path, [str(number) for number in range(1, 9)])
    images = folder / "images"
    draw_image(images / "50.png", 50)
    draw_image(images / "7.JPG", 7)
    (folder / "labels.csv").write_text(
        "id,boneage,male\n1,10,True\n1,10,True\n2,20,False\n3,-1,True\n4,40,\n5,50,maybe\n"
        "6,60,True\n7,70,True\n8,80,False\n90,90,True\n91,500,True\n,5,True\n2,abc,True\n"
    )
    data = Data(folder)
    assert [record.id for record in data.records] == ["1", "2", "6", "8"]
    assert reasons(data) == [
        ("50", Reason.IMAGE_WITHOUT_LABEL),
        ("90", Reason.LABEL_WITHOUT_IMAGE),
        ("7", Reason.SEVERAL_IMAGES),
        ("7", Reason.SEVERAL_IMAGES),
        ("1", Reason.DUPLICATE_ID),
        ("", Reason.MISSING_ID),
        ("4", Reason.MISSING_SEX),
        ("5", Reason.UNKNOWN_SEX),
        ("2", Reason.IMPOSSIBLE_AGE),
        ("3", Reason.IMPOSSIBLE_AGE),
        ("91", Reason.IMPOSSIBLE_AGE),
    ]
    assert data.summary() == (
        "4 radiographs paired; 11 discarded: 1 image without a label, 1 label without an image, "
        "2 images that share an id with another image, 1 duplicate id, 1 label without an id, "
        "1 label without a sex, 1 sex not understood, 3 impossible bone ages"
    )
    data.write_discarded(tmp_path / "out" / "discarded.csv")
    with (tmp_path / "out" / "discarded.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["id", "path", "reason", "detail"]
    assert len(rows) == 12
    assert rows[1] == ["50", str(images / "50.png"), "image without a label", ""]
    assert ["7", str(images / "7.JPG"), "two images for one id", "7.JPG, 7.png"] in rows
    assert rows[10][1] == str(images / "3.png")  # the image that goes with a bad label
    assert rows[9][1] == ""  # but not where a good label uses it


def test_a_file_name_that_is_no_text_does_not_stop_the_report(tmp_path: Path, make_data) -> None:
    folder = make_data(tmp_path, IDS)
    odd = bytes(folder / "images") + b"/\xff.png"
    try:
        shutil.copy(folder / "images" / "1.png", odd)
    except OSError:
        pytest.skip("this file system takes valid text only")
    data = Data(folder, cache=tmp_path / "cache")
    data.write_discarded(tmp_path / "discarded.csv")
    assert "?.png,image without a label" in (tmp_path / "discarded.csv").read_text()
    assert len(data.prepare()) == 3


@settings(max_examples=25)
@given(data=st.data())
def test_labels_and_images_never_get_out_of_step(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    # Each image is one shade, and its label says which.
    shades = data.draw(
        st.dictionaries(
            st.text("abcxyz0189_-", min_size=1, max_size=5),
            st.integers(1, 230),
            min_size=1,
            max_size=8,
        )
    )
    folder = tmp_path_factory.mktemp("data")
    suffixes = st.sampled_from([".png", ".PNG", ".tif"])
    for name in data.draw(st.permutations(list(shades))):
        picture = np.full((8, 8), shades[name], np.uint8)
        done, encoded = cv2.imencode(".png", picture)
        assert done
        (folder / f"{name}{data.draw(suffixes)}").write_bytes(encoded.tobytes())
    lines = [f"{name},{shades[name]},{shades[name] % 2}" for name in shades]
    table = ["id,boneage,male", *data.draw(st.permutations(lines))]
    (folder / "labels.csv").write_text("\n".join(table))
    paired = Data(folder, preparation=None, cache=folder / "cache")
    assert [record.id for record in paired.records] == sorted(shades)
    for record in paired.records:
        assert (record.path.stem, record.bone_age_months) == (record.id, shades[record.id])
        assert (record.sex is Sex.MALE) == (shades[record.id] % 2 == 1)
    prepared = paired.prepare(progress=False)
    assert prepared.ids == tuple(sorted(shades))
    for row, name in enumerate(prepared.ids):
        assert np.all(prepared.images[row] == shades[name])
        assert prepared.bone_ages_months[row] == shades[name]
        assert prepared.sexes[row] == shades[name] % 2


def test_subsets_and_splits(tmp_path: Path, make_data) -> None:
    data = Data(make_data(tmp_path, [str(number) for number in range(100, 140)]))
    train, validation = data.split(fraction=0.25, seed=1)
    assert (len(train), len(validation)) == (30, 10)
    together = sorted([*train.records, *validation.records], key=lambda record: record.id)
    assert tuple(together) == data.records
    assert train.summary() == "30 of 40 radiographs paired; none discarded"
    assert data.split(fraction=0.25, seed=1)[0].records == train.records
    assert [record.id for record in data.subset(["120", "101"]).records] == ["101", "120"]
    assert len(data) == 40
    with pytest.raises(InputError, match=r"1 ids are not in the data, as 999"):
        data.subset(["101", "999"])
    with pytest.raises(InputError, match="No ids"):
        data.subset([])
    with pytest.raises(SettingsError, match="fraction"):
        data.split(fraction=1.0)


def test_a_split_by_table(tmp_path: Path, make_data) -> None:
    data = Data(make_data(tmp_path, ["1", "2", "3", "4", "5"]))
    split = tmp_path / "split.csv"
    split.write_text("id,split\n4,val\n1,train\n3,test\n2,train\n77,train\n")
    train, validation = data.split(split)
    assert [record.id for record in train.records] == ["1", "2"]
    assert [record.id for record in validation.records] == ["4"]
    assert "1 that split.csv does not name left out" in train.summary()
    split.write_text("id,split\n1,train\n")
    with pytest.raises(LabelsError, match=r"split\.csv leaves the validation part empty"):
        data.split(split)


@pytest.mark.real_data
def test_the_real_radiographs_pair_quickly(shared_data: Path) -> None:
    began = time.process_time()
    data = Data(shared_data / "rsna-100px")
    took = time.process_time() - began
    assert data.summary() == "11,611 radiographs paired; none discarded"
    train, validation = data.split(shared_data / "rsna-100px" / "split.csv")
    assert (len(train), len(validation)) == (10_611, 1_000)
    assert took < 1  # seconds of this process: other work on the machine does not count
    assert len(Data(shared_data / "rsna-originals")) == 14
