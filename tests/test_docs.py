"""The docs: what they tell people to type exists, and what they point to is there."""

import re
import shlex
from pathlib import Path

import pytest

from agent.model.budget import price_of
from agent.model.settings import model_settings
from agent.session.launch import prepare
from docs import make_space
from lab.base.paths import Workspace
from lab.search.keys import search_space
from lab.space.parameters import PARAMETERS, VARIANT_KEYS
from lab.space.validate import space_of
from tests.conftest import ENV, Cli
from tools.catalog import TOOLS

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("*/README.md")])


def test_no_page_was_left_in_the_middle_of_a_merge() -> None:
    assert not [page for page in PAGES if re.search(r"^(<{7}|>{7}) ", page.read_text(), re.MULTILINE)]


def commands(text: str) -> list[list[str]]:
    blocks = re.findall(r"```(?:sh|toml)\n(.*?)```", text, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("autopilot ")]
    return [_without_workspace(shlex.split(line, comments=True)[1:]) for line in lines]


def _without_workspace(words: list[str]) -> list[str]:
    return words[2:] if words[0] == "--workspace" else words


def test_the_readmes_commands_and_flags_exist(called: Cli) -> None:
    text = (ROOT / "README.md").read_text() + "".join(
        (ROOT / "docs" / name).read_text() for name in ("training.md", "statistics.md")
    )
    table = [re.findall(r"`([^`]+)`", row.split("|")[1]) for row in text.splitlines() if row.startswith("| `")]
    items = [item.removeprefix("autopilot ") for row in table for item in row]
    named = [shlex.split(item) for item in items if re.match(r"[a-z]+( |$)", item)]
    wanted = [*commands(text), *named]
    assert len(wanted) > 15
    helps: dict[str, str] = {}
    for command, *arguments in wanted:
        if command not in helps:
            done = called(command, "--help")
            assert done.code == 0, command
            helps[command] = done.out
        for argument in arguments:
            if argument.startswith("--"):
                assert argument in helps[command], f"autopilot {command} has no {argument}"


@pytest.mark.parametrize("page", ["README.md", "docs/models.md"])
def test_the_example_settings_are_accepted(called: Cli, tmp_path: Path, page: str) -> None:
    blocks = re.findall(r"```toml\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    (tmp_path / "autopilot.toml").write_text("\n".join(blocks))
    assert called("start", "--preset", "no such preset", at=tmp_path).err.startswith("autopilot: preset = ")
    assert model_settings(Workspace(tmp_path))
    assert (price_of(Workspace(tmp_path), "my-model") is not None) == (page == "docs/models.md")


@pytest.mark.parametrize("page", ["search.md", "space.md"])
def test_the_example_limits_leave_the_preset_of_the_first_environment(workspace: Workspace, page: str) -> None:
    (block,) = re.findall(r"```toml\n(\[space\]\n.*?)```", (ROOT / "docs" / page).read_text(), re.DOTALL)
    (workspace.root / "autopilot.toml").write_text(block)
    inventory, config, _ = prepare(workspace, ENV, "quick", "perf:max", None, None)
    space = space_of(inventory.environment(ENV))
    assert all(key in space for key in re.findall(r'^"([\w.]+)"', block, re.MULTILINE))
    assert search_space(inventory.environment(ENV), config).dimensions


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if not target.startswith("http") and "examples" not in page.parts:
            assert (page.parent / target).exists(), target


def test_the_page_about_the_space_is_the_table() -> None:
    assert make_space.PAGE.read_text() == make_space.page()


def test_examples_point_to_their_pictures() -> None:
    for page in (ROOT / "docs" / "examples").glob("*.md"):
        for target in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_readme_counts_right() -> None:
    text = (ROOT / "README.md").read_text()
    words = {16: "sixteen", 17: "seventeen", 18: "eighteen", 19: "nineteen", 20: "twenty"}
    assert f"gets {words[len(TOOLS)]} tools" in text


def test_keys_that_the_docs_name_exist() -> None:
    known = {parameter.key for parameter in PARAMETERS} | set(VARIANT_KEYS.values())
    for page in (ROOT / "README.md", ROOT / "docs" / "training.md"):
        named = set(re.findall(r"`((?:train|vec|rnn|policy|autopilot)\.[a-z_]+)(?:`|=)", page.read_text()))
        assert named <= known | {"autopilot.toml"}, page


def test_every_key_is_described() -> None:
    assert all(parameter.doc.endswith(".") for parameter in PARAMETERS)
