"""Every environment that is not refused is trained and scored for real, as the page about them says."""

import re
from pathlib import Path

import pytest

from docs.make_environments import GYMNASIUM, PAGE, smoke
from lab.base.paths import Workspace
from lab.space.inventory import Inventory
from lab.store.records import RunState
from training.inventory import load_inventory


def known() -> list[str]:
    """Read from the page, so that collecting the tests starts no worker; another test holds it to the inventory."""
    return re.findall(r"^\| `([^`]+)` \| finished", PAGE.read_text(), re.MULTILINE)


def test_the_page_names_each_environment_once() -> None:
    named = re.findall(r"^\| `([^`]+)` \|", Path(PAGE).read_text(), re.MULTILINE)
    ours = {name for name in load_inventory().environments if not name.startswith("gymnasium:") and ":" not in name}
    assert sorted(named) == sorted(ours | set(GYMNASIUM))


QUICK = (
    "drone_delivery", "puffer_cartpole", "puffer_breakout", "puffer_drone", "puffer_squared", "puffer_tetris",
    "puffer_multiagent",
)  # fmt: skip


@pytest.fixture(scope="module")
def quick() -> Inventory:
    """Those of them, built once."""
    return load_inventory(QUICK)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in known() if name in QUICK])
def test_it_is_trained_and_scored(quick: Inventory, name: str, workspace: Workspace) -> None:
    found = smoke(quick, name, workspace)
    assert found.run.state is RunState.FINISHED, found.run.reason
