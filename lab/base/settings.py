"""Settings: `autopilot.toml` of a workspace under the environment, read in one place, whoever's tables they are.

A package declares its tables as the fields of a model that extends `Tables`; a model that extends several of these has
the tables of all (`cli/settings.py` has every one). A value comes from the environment, as `AUTOPILOT_TABLE_KEY`, where
its table allows that, else from the file, else it is the default. An option of a command has its flag above both.
"""

import difflib
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from pydantic_core import ErrorDetails, PydanticCustomError

from lab.base.errors import InvalidInput, invalid
from lab.base.paths import Workspace

PREFIX = "AUTOPILOT_"
"""How the names of our environment variables begin."""


def settings(workspace: Workspace) -> dict[str, Any]:
    """The whole of `autopilot.toml` as it is written; empty where a workspace has none.

    Raises:
        InvalidInput: it can't be read.
    """
    try:
        return tomllib.loads(workspace.settings.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidInput(f"{workspace.settings}: can't be read: {error}") from error


def options_in(workspace: Workspace, command: str) -> dict[str, Any]:
    """The options that a command's table in `autopilot.toml` sets, by their names with underscores.

    Raises:
        InvalidInput: the file can't be read.
    """
    table = settings(workspace).get(command, {})
    return {name.replace("-", "_"): value for name, value in table.items()} if isinstance(table, dict) else {}


@dataclass(frozen=True)
class Table:
    """A table of `autopilot.toml`, as far as whoever reads it has to know it: what is said of a mistake in it."""

    example: str
    """The table as it may be written."""
    values: str = ""
    """Values that would be valid; what pydantic says that it expects, if empty."""
    names: str = ""
    """The keys that the table may have, for one that is none; as `values`, if empty."""
    environment: bool = False
    """Whether the environment may set its keys. Rules, ranges and the user's modules stand in the file alone."""


class Tables(BaseModel):
    """The base of models with tables of `autopilot.toml`, each a field that is annotated with its `Table`."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    @classmethod
    def of(cls, workspace: Workspace) -> Self:
        """The tables as a workspace and the environment have them.

        Raises:
            InvalidInput: the file can't be read, or one of these tables is not written as it has to be.
        """
        written = {name: table for name, table in settings(workspace).items() if name in cls.model_fields}
        if not written and not any(name.upper().startswith(cls.variables()) for name in os.environ):
            return cls()  # the package that knows of the environment takes longer to import than all of ours
        try:
            tables: Self = _in_environment(cls)(**written)
        except ValidationError as error:
            raise cls.refused(error) from None
        return tables

    @classmethod
    def variables(cls) -> tuple[str, ...]:
        """How the names of the variables that set something here begin."""
        said = {name: next(iter(_tables(field.metadata)), None) for name, field in cls.model_fields.items()}
        heads = [f"{PREFIX}{name}_".upper() for name, table in said.items() if table and table.environment]
        return (*heads, *(str(field.alias) for field in cls.model_fields.values() if field.alias))

    @classmethod
    def refused(cls, error: ValidationError) -> InvalidInput:
        """The line for a person about the first thing that is wrong with these tables.

        Args:
            error: what pydantic raised.
        """
        first = error.errors()[0]
        name = str(first["loc"][0])
        table = next(iter(_tables(cls.model_fields[name].metadata)))
        if len(first["loc"]) == 1 and first["type"] in ("model_type", "dict_type"):
            return invalid(name, first["input"], "is not a table", table.example)
        return refusal(first, table.values, table.names)


T = TypeVar("T", bound=Tables)


def _tables(metadata: Iterable[object]) -> Iterable[Table]:
    return (one for one in metadata if isinstance(one, Table))


@cache
def _in_environment(tables: type[T]) -> type[T]:
    """The same tables, as a class that looks for their keys in the environment when it is called with the file's."""
    from lab.base.environment import Environment

    bases: tuple[type[Any], ...] = (tables, Environment)
    return create_model(tables.__name__, __base__=bases)


# --- what is said of a mistake ---------------------------------------------------------------------------------------


def wrong(rule: str, valid: str) -> PydanticCustomError:
    """An error for a validator to raise.

    Args:
        rule: what is wrong with the value.
        valid: what would be valid.
    """
    return PydanticCustomError("wrong", "{rule}", {"rule": rule, "valid": valid})


def refusal(first: ErrorDetails, values: str = "", names: str = "") -> InvalidInput:
    """An `InvalidInput` of one thing that pydantic found wrong.

    Args:
        first: what pydantic says of it.
        values: what would be valid; what the validator or pydantic expects, if not given.
        names: the keys that there are, with commas, for one that is none of them; as `values`, if not given.
    """
    context: Mapping[str, Any] = first.get("ctx", {})
    place = [str(part) for part in first["loc"] if part != "[key]"]
    unknown, value = first["type"] == "extra_forbidden", first.get("input")
    if unknown and any(word in ".".join(place).lower() for word in ("key", "token", "secret", "password")):
        value = "…"
    valid = (names and nearest_first(place[-1], names.split(", "))) if unknown else ""
    rule = first["msg"] if first["type"] == "wrong" else rule_of(first)
    variable = f"{PREFIX}{'_'.join(place[:2])}".upper()
    key = variable if os.environ.get(variable) else ".".join(place)
    return invalid(key, value, rule, valid or str(context.get("valid", values)) or _expected(context, first["msg"]))


OURS = (
    (r"^Input should be less than or equal to (.*)", r"must be \1 or less"),
    (r"^Input should be greater than or equal to (.*)", r"must be \1 or more"),
    (r"^Input should be greater than ", "must be more than "),
    (r"^(?:Input|String|List|Tuple|Dictionary|Value) should ", "must "),
    (r"^Extra inputs are not permitted", "is unknown"),
    (r"^Field required$", "is missing"),
    (r"^(?:Value|Assertion) error, ", ""),
    (r", (?:unable to|got a number with).*|after validation, | after validation", ""),
    (r"a valid (?:tuple|list|array)", "a list"),
    (r"a valid string", "a text"),
    (r"a valid (integer|object)", r"an \1"),
    (r"a valid boolean", "true or false"),
    (r"a valid ", "a "),
)
"""Patterns in pydantic's sentences, and our words in their place."""


def rule_of(error: ErrorDetails) -> str:
    """What a value has to satisfy by pydantic, in our words: `must be 1 or more`, `is unknown`, `is missing`.

    Args:
        error: one thing that it found.
    """
    said = error["msg"]
    for pattern, ours in OURS:
        said = re.sub(pattern, ours, said)
    return said[:1].lower() + said[1:]


def nearest_first(name: str, known: Iterable[str]) -> str:
    """All names that there are, in one line: those that `name` may have been meant for come first."""
    known = list(known)
    return ", ".join(dict.fromkeys([*difflib.get_close_matches(name, known, cutoff=0.7), *known]))


def _expected(context: Mapping[str, object], message: str) -> str:
    """What pydantic expects instead of a value, from the details and the text of its error."""
    bounds = {"ge": "{:g} or more", "gt": "more than {:g}", "le": "{:g} or less", "lt": "less than {:g}"}
    said = next((text.format(context[bound]) for bound, text in bounds.items() if bound in context), "")
    return said or rule_of({"type": "", "loc": (), "input": None, "msg": message}).removeprefix("must be ")
