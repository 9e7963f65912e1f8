"""The user's own environments, rewards and policies, declared by name in `autopilot.toml`.

    [variants.policy.deep]
    call = "mynets:Deep"
    arguments = {layers = 3}

Each name becomes a value of `autopilot.policy_variant`, so that a proposal can choose it; `none` is PufferLib's own.
An environment or a reward of the user's is for training only: the final evaluation stays the task's.
"""

from collections.abc import Mapping

from pydantic import ValidationError

from lab.base import Workspace, invalid, settings
from lab.space.config import Config
from lab.space.modules import check_importable
from lab.space.parameters import VARIANT_KEYS
from lab.space.task import Variant

Variants = dict[str, dict[str, Variant]]
"""Variants by kind and name: `environment`, `reward`, `policy` to name to what the name stands for."""

NAME = r"[A-Za-z][A-Za-z0-9_-]{0,39}"


def declared_variants(workspace: Workspace) -> Variants:
    """The variants that the workspace declares.

    Raises:
        InvalidInput: a variant is not written as it has to be, or another module has the name of its module.
    """
    tables = settings(workspace).get("variants", {})
    if not isinstance(tables, Mapping):
        raise invalid("variants", tables, "is not a table", "[variants.policy.NAME]")
    kinds = {str(kind): _named(str(kind), named) for kind, named in tables.items()}
    for kind, variants in kinds.items():
        for name, variant in variants.items():
            check_importable(f"variants.{kind}.{name}.call", variant.call, workspace.root)
    return kinds


def _named(kind: str, named: object) -> dict[str, Variant]:
    if kind not in VARIANT_KEYS or not isinstance(named, Mapping):
        raise invalid(f"variants.{kind}", named, "is not a kind of variant", " | ".join(VARIANT_KEYS))
    return {str(name): declared(f"variants.{kind}.{name}", name, table) for name, table in named.items()}


def declared(key: str, name: str, table: object) -> Variant:
    """One table of `autopilot.toml` that names something of the user's.

    Args:
        key: dotted name of the table.
        name: the last part of it.
        table: what stands there.

    Raises:
        InvalidInput: it is not written as it has to be.
    """
    import re

    if not re.fullmatch(NAME, name) or name == "none":
        raise invalid(key, table, "is not a name for a variant", "letters, digits, - and _, and not 'none'")
    try:
        return Variant.model_validate(table)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        rule = "is not module:callable" if field == "call" else first["msg"].lower()
        where = f"{key}.{field}" if field else key
        valid = 'call = "module:callable", arguments = {name = value}, env = "puffer_cartpole"'
        raise invalid(where, first.get("input"), rule, valid) from error


def chosen(config: Config, variants: Mapping[str, Mapping[str, Variant]]) -> dict[str, Variant]:
    """The variants that a config names: kind to variant.

    Args:
        config: valid for this environment.
        variants: what is declared for it.
    """
    picked = {kind: str(config.autopilot.get(key.partition(".")[2]) or "none") for kind, key in VARIANT_KEYS.items()}
    return {kind: variants[kind][name] for kind, name in picked.items() if name != "none"}
