"""A file of the user's whose name Python has another module for: one line says so, instead of a riddle."""

import pytest

from lab.base.errors import InvalidInput
from lab.base.paths import Workspace
from lab.space.task import Variant
from lab.store.records import RunState
from tests.conftest import Cli, tree
from tests.training.conftest import Train
from training.inventory import load_inventory

TAKEN = [
    ("tools", "tools.py", "autopilot itself"),
    ("lab", "lab/__init__.py", "autopilot itself"),
    ("training", "training/mine.py", "autopilot itself"),
    ("statistics", "statistics.py", "Python's standard library"),
    ("sys", "sys.py", "Python's standard library"),
    ("numpy", "numpy.py", "the installed package numpy"),
]
ENVIRONMENT = "from pufferlib.ocean.squared.squared import Squared as MyEnv\n"


def write(workspace: Workspace, file: str, text: str = ENVIRONMENT) -> None:
    (workspace.root / file).parent.mkdir(exist_ok=True)
    (workspace.root / file).write_text(text)


@pytest.mark.parametrize(("name", "file", "whose"), TAKEN)
def test_a_taken_name_is_refused(workspace: Workspace, name: str, file: str, whose: str) -> None:
    write(workspace, file)
    for call in (f"{name}:MyEnv", f"{name}.mine:MyEnv"):
        with pytest.raises(InvalidInput) as refused:
            load_inventory([call], workspace)
        assert f"env = '{call}': the name {name} is taken by {whose}: {workspace.root}/" in str(refused.value)
        assert f"valid: another name for it, such as my_{name}" in str(refused.value)
    workspace.settings.write_text(f'[variants.reward.mine]\ncall = "{name}:reward"\n')
    with pytest.raises(InvalidInput, match=rf"variants.reward.mine.call = '{name}:reward': the name {name} is taken"):
        load_inventory(workspace=workspace)


def test_what_hides_nothing_passes(workspace: Workspace) -> None:
    """A module that is not the workspace's, a folder that gives way to one, a name that is none."""
    (workspace.root / "numpy").mkdir()
    workspace.settings.write_text('[variants.reward.mine]\ncall = "json:loads"\n')
    load_inventory(["gymnasium:CartPole-v1", ":", "..:x"], workspace)


def test_the_commands_say_it_in_one_line(cli: Cli, workspace: Workspace) -> None:
    write(workspace, "tools.py")
    before = tree(workspace.root)
    for command in (["train"], ["start", "--max-runs", "1"], ["doctor", "--space"]):
        option = ["tools:MyEnv"] if command[-1] == "--space" else ["--env", "tools:MyEnv"]
        done = cli(*command, *option)
        assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
        assert f"the name tools is taken by autopilot itself: {workspace.root}/tools.py" in done.err
    assert tree(workspace.root) == before


@pytest.mark.parametrize("body", ["import lab\nX = lab.helper()\n", "from lab import helper\n", "import lab.mine\n"])
def test_a_taken_name_that_the_users_module_imports(workspace: Workspace, body: str) -> None:
    write(workspace, "lab.py", "def helper(): return 1\n")
    write(workspace, "corridor.py", f"{body}{ENVIRONMENT}")
    refused = load_inventory(["corridor:MyEnv"], workspace).environments["corridor:MyEnv"].refused or ""
    assert refused.split(":")[0] in ("AttributeError", "ImportError", "ModuleNotFoundError")
    hint = f"the name lab is taken by autopilot itself: {workspace.root / 'lab.py'} can't have it too: rename it"
    assert refused.endswith(f"({hint})")


@pytest.mark.slow
def test_a_taken_name_that_a_variant_imports(train: Train, workspace: Workspace) -> None:
    write(workspace, "lab.py", "def reward(): return 1\n")
    write(workspace, "mine.py", "import lab\n\n\ndef reward():\n    return lab.reward\n")
    found = train({"autopilot.seeds": 1}, variants={"reward": Variant(call="mine:reward")})
    assert found.state is RunState.FAILED
    assert "has no attribute 'reward' (the name lab is taken by autopilot itself" in (found.reason or "")
