"""What the documentation of the web app says is so."""

import os
import re
import subprocess
import sys
from pathlib import Path

from api_tools import REPOSITORY, ApiServer, rows
from tiny_models import write_hand

from boneage.apps.web.schema import PredictionFields, PredictionRow
from boneage.apps.web.settings import Limits
from boneage.inference.rows import COLUMNS

API = (REPOSITORY / "docs" / "how-to" / "web-api.md").read_text()
SERVE = (REPOSITORY / "docs" / "how-to" / "serve.md").read_text()


def test_the_client_of_the_documentation_runs(api: ApiServer, hand: Path, tmp_path: Path) -> None:
    (program,) = re.findall(r"^<!-- runs -->\n```python\n(.*?)^```$", API, re.M | re.S)
    (tmp_path / "client.py").write_text(program)
    (tmp_path / "none.png").write_bytes(b"no picture")
    write_hand(tmp_path / "other.jpg", 6)
    done = subprocess.run(
        [sys.executable, "-W", "error", "client.py", hand, "none.png", "other.jpg"],
        cwd=tmp_path,
        env={**os.environ, "BONEAGE_URL": str(api.http.base_url), "BONEAGE_TOKEN": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (row,) = rows(api.predict(hand, age_months=96))
    first, second, third = done.stdout.splitlines()
    assert first == f"hand: {row['bone_age_months']} months, SD score {row['sd_score']}"
    assert second.startswith("none: failed: Cannot read none.png")
    assert third.startswith("other: ")


def test_every_field_and_key_is_named() -> None:
    keys = [key for key in PredictionRow.model_fields if key not in COLUMNS]
    short = re.sub(r"^(lower|upper)_adult_height_cm$", r"\1_...", "\n".join(keys), flags=re.M)
    wanted = [*short.splitlines(), *PredictionFields.model_fields, "files"]
    assert [name for name in wanted if f"`{name}`" not in API] == []


def test_the_limits_are_those_of_the_settings() -> None:
    limits = Limits()
    said = dict(re.findall(r"^\| `(--[a-z-]+)` \| ([\d,]+)", SERVE, re.M))
    assert {name: float(value.replace(",", "")) for name, value in said.items()} == {
        "--max-mb": limits.file_mb,
        "--max-files": limits.files,
        "--max-request-mb": limits.request_mb,
        "--max-pixels": limits.pixels / 1e6,
        "--max-waiting": limits.waiting,
        "--max-held-mb": limits.held_mb,
        "--max-connections": limits.connections,
        "--upload-timeout": limits.upload_s,
        "--work-timeout": limits.work_s,
    }


def test_every_counter_is_named(api: ApiServer) -> None:
    text = api.http.get("/metrics").text
    counters = re.findall(r"^# TYPE (\w+) (?:counter|histogram|gauge)$", text, re.M)
    wanted = [name for name in counters if not name.endswith("_created")]
    assert len(wanted) >= 7
    assert [name for name in wanted if f"`{name}" not in SERVE] == []
