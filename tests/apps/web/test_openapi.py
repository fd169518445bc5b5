"""The OpenAPI document, held against the server by schemathesis."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from api_tools import ApiServer

EXAMPLES = 25


def test_the_server_does_as_its_document_says(api: ApiServer, tmp_path: Path) -> None:
    found = shutil.which("schemathesis", path=str(Path(sys.executable).parent))
    if found is None:
        pytest.skip("schemathesis is not installed")
    done = subprocess.run(
        [
            *(found, "run", f"{api.http.base_url}/api/v1/openapi.json".replace("//api", "/api")),
            *("--checks", "all", "--max-examples", str(EXAMPLES), "--no-color", "--seed", "1"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr
    assert "4 selected / 4 total" in done.stdout


def test_examples_are_as_the_schemas_say(api: ApiServer) -> None:
    import jsonschema

    document = api.http.get("/api/v1/openapi.json").json()
    content = document["paths"]["/api/v1/predictions"]["post"]["responses"]["200"]["content"]
    example = content["application/json"]["example"]
    schema = {"$ref": "#/components/schemas/Predictions", "components": document["components"]}
    jsonschema.validate(example, schema)
    assert document["openapi"].startswith("3.1")
    assert set(document["paths"]) == {
        "/api/v1/predictions",
        "/api/v1/model",
        "/health",
        "/metrics",
    }
