"""The documentation names only commands, options and files that are there."""

import re
import shlex
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

RunCli = Callable[..., subprocess.CompletedProcess[str]]
REPOSITORY = Path(__file__).resolve().parent.parent
PAGES = sorted(
    path.relative_to(REPOSITORY).as_posix()
    for path in [*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")]
    if "_build" not in path.parts
)


def commands(page: str) -> list[list[str]]:
    """Every ``boneage ...`` line of a page's bash and text blocks, in words."""
    blocks = re.findall(r"^```(?:bash|text)\n(.*?)^```$", page, re.M | re.S)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    parts = [part.strip() for line in lines for part in line.split(" && ")]
    found = [part for part in parts if re.match(r"(\.venv/bin/)?boneage( |$)", part)]
    return [shlex.split(part, comments=True)[1:] for part in found]


def unknown_words(command: list[str], verbs_and_options: Callable[[str], str]) -> list[str]:
    """Verb and options of a command that the help does not know."""
    if command[0] not in re.findall(r"^  (\w+) ", verbs_and_options(""), re.M):
        return [command[0]]
    known = set(re.findall(r"--[a-z-]+", verbs_and_options(command[0])))
    named = [word for part in command[1:] for word in re.findall(r"--[a-z-]+", part)]
    return [word for word in named if word not in known]


@pytest.fixture(scope="module")
def help_text(run_cli: RunCli) -> Callable[[str], str]:
    """The help of a verb, or of ``boneage`` itself."""

    @cache
    def text(verb: str) -> str:
        done = run_cli(*filter(None, [verb]), "--help")
        assert done.returncode == 0, done.stderr
        return done.stdout

    return text


@pytest.mark.parametrize("page", PAGES)
def test_commands_and_options_exist(page: str, help_text: Callable[[str], str]) -> None:
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    wrong = {shlex.join(words): unknown_words(words, help_text) for words in commands(text)}
    assert {line: words for line, words in wrong.items() if words} == {}


def test_the_check_finds_a_wrong_verb_and_a_wrong_option() -> None:
    def text(verb: str) -> str:
        return "Options:\n  --out DIR" if verb else "Commands:\n  train   Train.\n"

    page = "```bash\nboneage train x --out y --fast\nboneage guess x && boneage train x\n```\n"
    assert [unknown_words(words, text) for words in commands(page)] == [["--fast"], ["guess"], []]


@pytest.mark.parametrize("page", PAGES)
def test_links_between_pages_lead_somewhere(page: str) -> None:
    # Sphinx checks those within docs/; nothing checks those of the pages outside it.
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)#:\s]+)\)", text)
    folder = (REPOSITORY / page).parent
    assert [target for target in targets if not (folder / target).exists()] == []
