"""``boneage search`` as a user types it; what it computes is in ``tests/training``."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from boneage.apps.cli import app
from boneage.apps.several_values import spread_values
from boneage.radiographs.phantom import write_phantom_dataset

SPACES = {
    "unknown.toml": "[network]\ndepth = [1, 2]\n",
    "syntax.toml": "batch_size = [16, 32\n",
    "range.toml": "learning_rate = {low = 1e-4, high = 2.0, log = true}\n",
    "continuous.toml": "learning_rate = {low = 1e-4, high = 1e-2, log = true}\n",
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_phantom_dataset(tmp_path_factory.mktemp("data") / "phantoms", 6, height_px=64)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--conv-layers", "--trials", "2"], "--conv-layers needs at least one value"),
        (["--conv-layers", "3", "x"], "Got unexpected extra argument"),
        (["--conv-layers", "x"], "'--conv-layers'"),
        (["--conv-layers", "3", "9"], "--conv-layers must be within 1 to 8, not 9"),
        (["--dropout", "-0.1"], "--dropout must be at least 0 and below 1, not -0.1"),
        (["--conv-layers", "6"], "--size 32 is too small for --conv-layers 6"),
        (["--dense-depth", "1", "2", "1"], "--dense-depth names 1 more than once"),
        (["--fraction", "0"], "--fraction must be above 0 and at most 1, not 0.0"),
        (["--fraction", "1.5"], "--fraction must be above 0 and at most 1, not 1.5"),
        (["--trials", "0"], "--trials must be within 1 to 81"),
        (["--fraction", "0.5", "--trials", "3"], "--trials and --fraction contradict each other"),
        (["--space", "unknown.toml"], "unknown.toml: There is no setting 'depth' among [network]"),
        (["--space", "syntax.toml"], "syntax.toml cannot be read as TOML"),
        (["--space", "absent.toml"], "absent.toml cannot be read as TOML: [Errno 2]"),
        (["--space", "range.toml", "--trials", "2"], "--learning-rate must be above 0 and at most"),
        (["--space", "continuous.toml"], "continuous range: say how many --trials"),
        (["--architecture", "residual"], "Give a --space file"),
        (["--storage", "mysql://me:secret@host/studies"], "--storage must be journal:PATH or"),
        (["--storage", "postgresql://me:secret@host:port/x"], "no URL of a PostgreSQL database"),
        (
            ["--storage", "postgresql+psycopg://me:secret@127.0.0.1:1/studies"],
            "me:***@127.0.0.1:1/studies cannot be reached",
        ),
        (["--storage", "journal:nowhere/journal.log"], "there is no folder nowhere"),
        (["--storage", "journal:syntax.toml"], "is no journal of a search"),
    ],
)
def test_what_cannot_be_is_one_clear_line(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in SPACES.items():
        Path(name).write_text(text)
    before = set(tmp_path.iterdir())
    # In this process: loading PyTorch for each of them would take minutes.
    done = CliRunner().invoke(
        app, ["search", *options, str(data), "--out", "search", "--size", "32"], prog_name="boneage"
    )
    assert (done.exit_code, done.stdout) == (2, "")
    line = done.stderr.splitlines()[-1]
    assert line.lower().startswith("error: ")
    assert said in line
    assert "secret" not in done.stderr
    assert "Traceback" not in done.stderr
    assert {path for path in tmp_path.iterdir() if not path.name.endswith(".locks")} == before


def test_several_values_stand_after_one_flag() -> None:
    flags = {"--conv-layers", "--dropout"}
    words = ["rsna", "--conv-layers", "3", "4", "--out", "5", "--dropout=.1", "0.2", "-1", "data"]
    assert spread_values(words, flags) == [
        "rsna", "--conv-layers=3", "--conv-layers=4", "--out", "5",
        "--dropout=.1", "--dropout=0.2", "--dropout=-1", "data",
    ]  # fmt: skip
    again = ["--dropout", "0.1", "--dropout", "0.2", "0.3"]
    assert spread_values(again, flags) == ["--dropout=0.1", "--dropout=0.2", "--dropout=0.3"]
