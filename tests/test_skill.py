"""The skill for agents: what it names exists, and installing it loses nothing that somebody wrote."""

import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest

from bridge.catalog import OFFERS
from bridge.resources import PROMPTS, TEMPLATES
from lab.base.paths import Workspace
from tests.conftest import Cli, tree

ROOT = Path(__file__).resolve().parent.parent
SKILL = ROOT / "skills" / "autopilot"
PAGES = sorted(SKILL.rglob("*.md"))
TEXT = "\n".join(page.read_text() for page in PAGES)


def test_its_head_is_as_the_format_has_it() -> None:
    head, _, body = (SKILL / "SKILL.md").read_text().removeprefix("---\n").partition("\n---\n")
    fields = dict(line.split(": ", 1) for line in head.splitlines())
    assert set(fields) == {"name", "description", "compatibility"}
    assert fields["name"] == SKILL.name and re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", fields["name"])
    assert 0 < len(fields["description"]) <= 1024 and 0 < len(fields["compatibility"]) <= 500
    assert len(body.splitlines()) < 500
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert (page.parent / target).is_file(), target


def test_every_tool_command_resource_and_prompt_that_it_names_exists(called: Cli) -> None:
    assert set(re.findall(r"autopilot_[a-z_]+", TEXT)) == {offer.name for offer in OFFERS}
    for uri in set(re.findall(r"autopilot://[^`\s]+", TEXT)):
        assert uri in {*(place.uri for place in TEMPLATES), "autopilot://notes"}, uri
    assert {name for name in PROMPTS if f"`{name}`" in TEXT} == set(PROMPTS)
    start = next(offer for offer in OFFERS if offer.tool.name == "start").arguments["properties"]
    table = re.findall(r"^\| `([a-z_]+)` \| `--", (SKILL / "references" / "nights.md").read_text(), re.M)
    assert set(table) == set(start)
    helps: dict[str, str] = {}
    named = [shlex.split(line) for line in re.findall(r"`autopilot ([^`]+)`", TEXT)]
    named += [["start", option] for option in re.findall(r"\| `(--[a-z-]+)` \|", TEXT)]
    assert len(named) > 40
    for command, *words in named:
        if command not in helps:
            done = called(command, "--help")
            assert done.code == 0, command
            helps[command] = done.out
        for word in words:
            assert not word.startswith("--") or word in helps[command], f"autopilot {command} has no {word}"


def test_plugin_and_server_are_this_program(called: Cli) -> None:
    plugin = json.loads((ROOT / ".claude-plugin" / "plugin.json").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert plugin["version"] == project["version"] and plugin["name"] == project["name"] == SKILL.name
    (offered,) = json.loads((ROOT / ".claude-plugin" / "marketplace.json").read_text())["plugins"]
    assert offered["name"] == plugin["name"] and (ROOT / offered["source"]).resolve() == ROOT
    (server,) = json.loads((ROOT / ".mcp.json").read_text())["mcpServers"].values()
    assert server["command"] == "${AUTOPILOT_PROGRAM:-autopilot}"
    assert called(*server["args"], "--help").code == 0
    assert (ROOT / ".agents" / "skills" / SKILL.name).resolve() == SKILL


def shipped() -> dict[str, bytes]:
    return {str(page.relative_to(SKILL)): page.read_bytes() for page in PAGES}


def written(folder: Path) -> dict[str, bytes]:
    return {name: content for name, content in tree(folder).items() if name != ".installed.json"}


def test_it_is_installed_where_agents_look_and_again_changes_nothing(called: Cli, workspace: Workspace) -> None:
    assert called("skill", "install").code == 0
    for place in (".claude/skills", ".agents/skills"):
        assert written(workspace.root / place / "autopilot") == shipped()
    before = tree(workspace.root)
    assert called("skill", "install").out.count("up to date") == 2
    assert tree(workspace.root) == before


def test_what_somebody_changed_is_never_lost(called: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "autopilot"
    install = ("skill", "install", "--to", str(tmp_path))
    called(*install)
    (folder / "SKILL.md").write_text("mine")
    before = tree(tmp_path)
    refused = called(*install)
    assert (
        refused.code == 2
        and "skill = 'SKILL.md': is not what was installed in" in refused.err
        and refused.err.count("\n") == 1
    )
    assert tree(tmp_path) == before
    for count in (1, 2):
        assert called(*install, "--overwrite").out.endswith(f"{count} file written\n".replace("2 file", "1 file"))
        (folder / "SKILL.md").write_text(f"mine again {count}")
    called(*install, "--overwrite")
    kept = {name: content for name, content in tree(folder).items() if ".yours" in name}
    assert sorted(kept.values()) == [b"mine", b"mine again 1", b"mine again 2"]
    assert {name: content for name, content in written(folder).items() if name not in kept} == shipped()


def test_a_newer_version_replaces_what_an_older_one_wrote(
    called: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = tmp_path / "older" / "autopilot"
    (older / "references").mkdir(parents=True)
    (older / "SKILL.md").write_text("of an older version")
    (older / "references" / "gone.md").write_text("there is no such page any more")
    with monkeypatch.context() as patch:
        patch.setattr("cli.skills.SKILLS", older.parent)
        called("skill", "install", "--to", str(tmp_path))
    folder = tmp_path / "autopilot"
    assert set(written(folder)) == {"SKILL.md", "references/gone.md"}
    assert called("skill", "install", "--to", str(tmp_path)).code == 0
    assert written(folder) == shipped()


def test_what_was_written_by_hand_there_before_is_no_older_version(called: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "autopilot"
    folder.mkdir()
    (folder / "SKILL.md").write_text("a skill of my own")
    (folder / ".installed.json").write_text('{"files": {"../../x": "0", "SKILL.md": "0"}, "more": 1}')
    before = tree(tmp_path)
    assert called("skill", "install", "--to", str(tmp_path)).code == 2
    assert called("skill", "remove", "--to", str(tmp_path)).code == 2
    (tmp_path / "file").write_text("in the way")
    assert "can't be written to" in called("skill", "install", "--to", str(tmp_path / "file")).err
    (tmp_path / "file").unlink()
    assert tree(tmp_path) == before


def test_the_skill_is_package_data() -> None:
    from setuptools import find_namespace_packages

    tool = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    packages = find_namespace_packages(str(ROOT), include=tool["packages"]["find"]["include"])
    assert {"skills", "mirror", "prompts"} <= set(packages)
    found = [path for pattern in tool["package-data"]["skills"] for path in (ROOT / "skills").glob(pattern)]
    assert sorted(found) == PAGES
