"""Settings of a workspace: every table of `autopilot.toml`, under the environment, under flags.

A table per command holds defaults for its options, by their long names. Typer takes them below a flag and a variable of
the environment, such as `AUTOPILOT_START_MODEL`, and reads all three alike:

    [start]
    model = "gpt-5"
    hours = 8
"""

import contextlib
import difflib
import os
from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from lab.base import PREFIX, InvalidInput, Problem, Tables, Workspace, invalid, nearest_first, settings

ELSEWHERE = ("variants", "wrappers", "space", "ray", "slurm", "model", "prices", "notify", "policy")
"""The fields of `every_table()`, known without importing what it is made of."""
OTHERS = ("WORKSPACE", "CACHE", "WEBHOOK", "EVENT", "TEXT", "MODEL_", "NOTIFY_")
"""How the names of variables go on that set, or tell a command of `[notify]`, something else than an option."""


class Option(NamedTuple):
    """An option of a command, as far as `autopilot.toml` has to know it."""

    name: str
    """The parameter that takes its value."""
    flag: str
    """How a table calls it: as its flag, such as `max_runs`."""
    each: str | None
    """What each of its values looks like, where it may have several: a table has a list then."""


def find_workspace(given: Path | None) -> Workspace:
    """The folder that runs and proposals lie in.

    Args:
        given: by flag or environment; else the nearest folder upward that has an autopilot.toml or holds both, else
            the checkout that this program runs from, else the current folder.

    Raises:
        InvalidInput: it can't be told which one that is, or no record could hold its path.
    """
    try:
        workspace = Workspace(given.expanduser().absolute()) if given is not None else _nearest(Path.cwd())
        str(workspace.root).encode()
    except UnicodeEncodeError as error:
        raise invalid(
            "workspace", error.object, "is a path that is not UTF-8", "a folder without such a name"
        ) from None
    except (OSError, RuntimeError) as error:  # the current folder is gone; ~ without HOME and without an account
        raise invalid(
            "workspace", str(given or "."), f"can't be found ({error})", "--workspace with a full path"
        ) from None
    return workspace


def _nearest(here: Path) -> Workspace:
    for folder in (here, *here.parents):
        place = Workspace(folder)
        with contextlib.suppress(PermissionError):  # a folder that may not be looked into is nobody's workspace
            if place.settings.is_file() or (place.runs.is_dir() and place.proposals.is_dir()):
                return place
    checkout = Path(__file__).resolve().parent.parent
    return Workspace(checkout if (checkout / "pyproject.toml").exists() else here)


@cache
def every_table() -> type[Tables]:
    """All tables of `autopilot.toml` but those of commands, as one model: each package that reads some extends it."""
    from agent.approval import PolicyTables
    from agent.model import ModelTables, PriceTables
    from agent.notify import NotifyTables
    from lab.space import LimitTables, VariantTables, WrapperTables
    from training import RayTables, SlurmTables

    class Settings(
        VariantTables, WrapperTables, LimitTables, RayTables, SlurmTables, ModelTables, PriceTables, NotifyTables,
        PolicyTables,
    ):  # fmt: skip
        """Every table that is not a command's."""

    return Settings


def defaults(workspace: Workspace, commands: Mapping[str, Mapping[str, Option]]) -> dict[str, dict[str, Any]]:
    """Defaults of the commands' options from `autopilot.toml`.

    Args:
        workspace: whose file is read.
        commands: names that a table may have, each with its command's options by the names that a key may have.

    Returns:
        Name of each command that has a table to the values in it, by the names of its parameters.

    Raises:
        InvalidInput: the file can't be read, has a table or key that is none, a key twice, or a value of another kind.
    """
    tables = settings(workspace)
    values: dict[str, dict[str, Any]] = {}
    for name, table in tables.items():
        if name in ELSEWHERE:
            continue
        if name not in commands or not isinstance(table, Mapping):
            valid = f"one of the tables {nearest_first(name, [*ELSEWHERE, *sorted(commands)])}"
            raise InvalidInput(
                [Problem(key=str(workspace.settings), value=f"[{name}]", rule="is unknown", valid=valid)]
            )
        values[name] = {}
        for key, value in table.items():
            option = commands[name].get(key.replace("-", "_"))
            if option is None:
                valid = nearest_first(key.replace("-", "_"), sorted({known.flag for known in commands[name].values()}))
                raise invalid(f"{name}.{key}", value, f"is no option of 'autopilot {name}'", valid)
            if option.name in values[name]:
                raise invalid(f"{name}.{key}", value, f"is {option.flag}, which is there already", "one of the two")
            _require_kind(f"{name}.{key}", value, option)
            values[name][option.name] = value
    return values


def check_environment(command: str, options: Mapping[str, Mapping[str, Option]]) -> None:
    """Refuse a variable that looks as if it set an option of a command and sets none, which would go unseen.

    Args:
        command: the one that is called.
        options: of every command, as `defaults` takes them.

    Raises:
        InvalidInput: there is one, its option or its command misspelt; its value may be a secret and is not shown.
    """
    heads = {name: f"{PREFIX}{name.replace('-', '_').upper()}_" for name in options}
    known = {f"{heads[command]}{option.name.upper()}" for option in options[command].values()}
    others = (*(head for name, head in heads.items() if name != command), *(PREFIX + name for name in OTHERS))
    for variable in sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known):
        meant = heads[command] + variable.removeprefix(PREFIX) in known or _slip(variable, known)
        if variable.startswith(heads[command]) or (meant and not variable.startswith(others)):
            valid = nearest_first(variable, sorted(known))
            rule = f"sets no option of 'autopilot {command}'"
            raise InvalidInput([Problem(key=variable, value="…", rule=rule, valid=valid)])


def _slip(variable: str, known: Collection[str]) -> bool:
    """Whether a variable is one of some others but for a slip, such as `AUTOPILOT_STRAT_HOURS`."""
    ends = [name.removeprefix(PREFIX) for name in known]
    return bool(difflib.get_close_matches(variable.removeprefix(PREFIX), ends, 1, cutoff=0.85))


def _require_kind(key: str, value: Any, option: Option) -> None:
    """Refuse a list where one value is wanted, and anything but a list of texts where several are."""
    if option.each is None:
        if isinstance(value, (list, dict)):
            raise invalid(key, value, "must be one value", "a text, a number, or true or false")
    elif not (isinstance(value, list) and all(isinstance(item, str) for item in value)):
        raise invalid(key, value, "must be a list of texts", f'{option.flag} = ["{option.each}"]')
