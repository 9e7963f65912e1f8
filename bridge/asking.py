"""What a client may ask of a training: keys that a model may set, environments that are known here, an end.

A person at the command line may name any module of theirs as an environment and any file as weights. A client may not:
what it says must not decide which code runs, nor which files are read.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from bridge.door import Door
from lab.base import invalid as refused
from lab.base import is_id, options_in, plain, settings
from lab.space import PARAMETERS, VARIANT_KEYS, closest_keys

Settings = Annotated[dict[str, bool | int | float | str], Field(max_length=60)]
"""Dotted key to value, such as `{"train.learning_rate": 0.01}`."""
_REGISTERED = re.compile(r"gymnasium:[\w/-]{1,60}")
_FREE = {p.key: p for p in PARAMETERS if p.proposable and not p.key.startswith("autopilot.resume")}


def settings_of(values: Mapping[str, Any]) -> list[str]:
    """Options of the command line that set keys of a config.

    Args:
        values: dotted key to value.

    Raises:
        InvalidInput: a key is none that an agent may set, or its value is not valid.
    """
    options = []
    for key, value in values.items():
        shown = plain(key, 80)
        if key not in _FREE and key not in VARIANT_KEYS.values():
            raise refused(shown, value, "is no key that an agent may set", closest_keys(shown, _FREE))
        if key in _FREE and (problem := _FREE[key].problem(value)):
            raise refused(shown, value, problem.rule, problem.valid)
        if isinstance(value, str) and not re.fullmatch(r"[\w.:+-]{1,80}", value):
            raise refused(shown, plain(value, 80), "is no name", "a choice of this key")
        options.append(f"--set={key}={str(value).lower() if isinstance(value, bool) else value}")
    return options


def environment_of(door: Door, env: str | None) -> list[str]:
    """The option that names an environment; none for what the settings say.

    Args:
        door: whose workspace.
        env: PufferLib's name, a registered one of gymnasium, or one that this workspace trains already.

    Raises:
        InvalidInput: it would have any other code run.
    """
    if env is None:
        return []
    if ":" in env and not _REGISTERED.fullmatch(env) and env not in (known := _known(door)):
        rule = "is code that this workspace has not trained before: a person has to, first"
        raise refused("env", plain(env, 80), rule, ", ".join(["a name of PufferLib's, gymnasium:ID", *sorted(known)]))
    return [f"--env={env}"]


def _known(door: Door) -> set[str]:
    """Environments that a person has named: in the settings, or by training them."""
    named = {options_in(door.workspace, command).get("env") for command in settings(door.workspace)}
    return {env for env in named if isinstance(env, str)} | {
        row.env_name for row in door.notebook.index.rows() if not row.legacy
    }


def require_weights_of_ours(changes: Mapping[str, Any]) -> None:
    """Refuse a warm start from a file: weights come from runs of this workspace.

    Raises:
        InvalidInput: it names anything else.
    """
    said = changes.get("autopilot.resume_from")
    if said is not None and not (isinstance(said, str) and is_id(said) and not said.endswith(".pt")):
        raise refused("autopilot.resume_from", plain(str(said), 80), "is no run", "latest, best or a run's id")


def options_of(**values: Any) -> list[str]:
    """Options of the command line, each with its value in the same word, so that no value can be an option.

    Args:
        values: name of the option, with underscores, to its value; None leaves it out.
    """
    return [f"--{name.replace('_', '-')}={value}" for name, value in values.items() if value is not None]


def require_an_end(door: Door, **budgets: Any) -> None:
    """Refuse a night that nothing would end.

    Args:
        door: whose workspace, whose settings may have a budget.
        budgets: name to value, as they were given.

    Raises:
        InvalidInput: neither the call nor the settings have one.
    """
    if not options_in(door.workspace, "start").keys() & set(budgets) and all(
        value is None for value in budgets.values()
    ):
        raise refused("hours", "none", "would let the night go on without an end", "hours = 8, or max_runs = 20")
