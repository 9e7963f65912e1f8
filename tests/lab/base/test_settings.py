"""autopilot.toml under the environment, through the one model that has every table."""

import subprocess
import sys
from pathlib import Path

import pytest

from agent.model.settings import model_settings
from agent.notify.notifier import notify_settings
from cli.settings import ELSEWHERE, every_table
from lab.base.errors import InvalidInput
from lab.base.paths import Workspace
from lab.space.limits import declared_limits
from tests.conftest import Cli

WHOLE = """
[start]
hours = 8
[variants.policy.deep]
call = "mynets:Deep"
[wrappers.limit]
call = "gymnasium.wrappers:TimeLimit"
[space.train]
gamma = {frozen = true}
[model]
timeout = 60
[prices."mine"]
input = 1
output = 2
[notify]
on = ["failed"]
[policy]
max_keys = 2
"""


def test_one_model_has_every_table(workspace: Workspace) -> None:
    tables = every_table()
    assert {name for name, field in tables.model_fields.items() if field.alias is None} == set(ELSEWHERE)
    assert tables.of(workspace) == tables()
    workspace.settings.write_text(WHOLE)
    read = tables.of(workspace).model_dump()
    assert read["variants"]["policy"]["deep"]["call"] == "mynets:Deep"
    assert read["wrappers"]["limit"]["call"] == "gymnasium.wrappers:TimeLimit"
    assert read["space"]["train.gamma"]["frozen"] is True
    assert (read["model"]["timeout"], read["prices"]["mine"]["output"]) == (60, 2)
    assert (read["notify"]["on"], read["policy"]["max_keys"]) == (("failed",), 2)


def test_the_environment_goes_before_the_file_before_the_default(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (model_settings(workspace).timeout, model_settings(workspace).seed) == (180, None)
    workspace.settings.write_text("[model]\ntimeout = 60\nseed = 3\n")
    assert (model_settings(workspace).timeout, model_settings(workspace).seed) == (60, 3)
    monkeypatch.setenv("AUTOPILOT_MODEL_TIMEOUT", "30")
    monkeypatch.setenv("AUTOPILOT_MODEL_SEED", "")  # none
    monkeypatch.setenv("AUTOPILOT_MODEL", "gpt-5")  # nothing's name
    assert (model_settings(workspace).timeout, model_settings(workspace).seed) == (30, 3)
    workspace.settings.unlink()
    monkeypatch.setenv("AUTOPILOT_NOTIFY_ON", '["failed", "finished"]')
    assert model_settings(workspace).timeout == 30
    assert notify_settings(workspace).on == ("failed", "finished")


def test_rules_ranges_and_code_stand_in_the_file_alone(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace.settings.write_text(WHOLE)
    before = every_table().of(workspace)
    for name in ("POLICY_MAX_KEYS", "SPACE_TRAIN", "VARIANTS_POLICY", "WRAPPERS_LIMIT", "PRICES_MINE"):
        monkeypatch.setenv(f"AUTOPILOT_{name}", '{"call": "os:system"}')
    assert every_table().of(workspace) == before
    workspace.settings.unlink()
    assert declared_limits(workspace) == {}


@pytest.mark.parametrize(("variable", "value", "said"), [
    ("AUTOPILOT_MODEL_TIMEOUT", "0", "AUTOPILOT_MODEL_TIMEOUT = '0': must be 1 or more;"
     " valid: 1 or more"),
    ("AUTOPILOT_MODEL_TIMEOUTS", "9", "AUTOPILOT_MODEL_TIMEOUTS = '9': is unknown; valid: time"),
    ("AUTOPILOT_NOTIFY_ON", "failed", "AUTOPILOT_NOTIFY_ON = 'failed': must be a list; valid: finished"),
])  # fmt: skip
def test_a_mistake_in_the_environment_ends_in_one_line(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(InvalidInput) as refused:
        every_table().of(workspace)
    assert str(refused.value).startswith(said)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("text", "said"), [
    ("[notfy]\nwebhook = 'x'", "[notfy]: is unknown; valid: one of the tables notify, "),
    ("[strat]\nhours = 8", "[strat]: is unknown; valid: one of the tables start, "),
    ("[start]\nmax_run = 3", "start.max_run = 3: is no option of 'autopilot start'; valid: max_runs, "),
    ("[start]\nmax-run = 3", "start.max-run = 3: is no option of 'autopilot start'; valid: max_runs, "),
])  # fmt: skip
def test_the_nearest_name_comes_first(workspace: Workspace, called: Cli, text: str, said: str) -> None:
    workspace.settings.write_text(text)
    done = called("runs")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert said in done.err


def test_a_variable_that_sets_no_option_of_the_command_is_refused(called: Cli) -> None:
    done = called("runs", AUTOPILOT_RUNS_LIMITS="3")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert done.err.startswith(
        "autopilot: AUTOPILOT_RUNS_LIMITS = …: sets no option of 'autopilot runs'; valid: AUTOPILOT_RUNS_LIMIT, "
    )
    assert called("runs", AUTOPILOT_RUNS_LIMIT="3", AUTOPILOT_RUN="3", AUTOPILOT_START_LIMITS="3").code == 0


@pytest.mark.parametrize("variable", ["AUTOPILOT_STRAT_HOURS", "AUTOPILOT_HOURS", "AUTOPILOT_STAR_HOURS"])
def test_a_variable_whose_command_is_misspelt_begins_no_endless_night(
    called: Cli, workspace: Workspace, variable: str
) -> None:
    before = sorted(workspace.root.rglob("*"))
    done = called("start", **{variable: "3"})
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert f"{variable} = …: sets no option of 'autopilot start'; valid: AUTOPILOT_START_HOURS, " in done.err
    assert sorted(workspace.root.rglob("*")) == before


@pytest.mark.parametrize("command", ["start", "resume", "train", "confirm"])
def test_what_trains_reads_every_table_first(called: Cli, workspace: Workspace, command: str) -> None:
    workspace.settings.write_text("[model]\ntimout = 5\n")
    done = called(command)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "model.timout = 5: is unknown; valid: timeout, " in done.err


def test_the_doctor_reads_every_table(workspace: Workspace, called: Cli) -> None:
    workspace.settings.write_text("[policy]\nmax_keys = 0\n")
    done = called("doctor")
    assert "policy.max_keys = 0: must be 1 or more" in done.out
    assert done.code == 1
    workspace.settings.write_text("[policy]\nmax_keys = 1\n")
    assert f"[policy] ({workspace.settings})" in called("doctor").out


def test_what_reads_no_settings_imports_nothing_for_them(workspace: Workspace) -> None:
    workspace.settings.write_text("[start]\nhours = 8\n[model]\ntimeout = 60\n")
    code = (
        "import sys; from cli.main import main\n"
        f"try: main(['--workspace', {str(workspace.root)!r}, 'runs'])\n"
        "finally: print('pydantic_settings' in sys.modules)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=Path(__file__).parents[3], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "False"
