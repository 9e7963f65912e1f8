"""The user's own environments, rewards and policies, declared by name in `autopilot.toml`.

    [variants.policy.deep]
    call = "mynets:Deep"
    arguments = {layers = 3}

Each name becomes a value of `autopilot.policy_variant`, so that a proposal can choose it; `none` is PufferLib's own.
An environment or a reward of the user's is for training only: the final evaluation stays the task's.
"""

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Field

from lab.base import Table, Tables, Workspace, wrong
from lab.space.config import Config
from lab.space.modules import check_importable
from lab.space.parameters import VARIANT_KEYS
from lab.space.task import Variant

Variants = dict[str, dict[str, Variant]]
"""Variants by kind and name: `environment`, `reward`, `policy` to name to what the name stands for."""

NAME = r"[A-Za-z][A-Za-z0-9_-]{0,39}"
VALID = 'call = "module:callable", arguments = {name = value}, env = "puffer_cartpole"'
"""What may be declared of something of the user's."""


def _kind(kind: str) -> str:
    if kind not in VARIANT_KEYS:
        raise wrong("is not a kind of variant", " | ".join(VARIANT_KEYS))
    return kind


def _name(name: str) -> str:
    if not re.fullmatch(NAME, name) or name == "none":
        raise wrong("is not a name for a variant", "letters, digits, - and _, and not 'none'")
    return name


Named = dict[Annotated[str, AfterValidator(_name)], Variant]
"""What the user declares, by the name that it is given."""


class VariantTables(Tables):
    """`[variants]` in autopilot.toml: environments, rewards and policies by kind and name."""

    variants: Annotated[
        dict[Annotated[str, AfterValidator(_kind)], Named], Table(example="[variants.policy.NAME]", values=VALID)
    ] = Field(default_factory=dict)


def declared_variants(workspace: Workspace) -> Variants:
    """The variants that the workspace declares.

    Raises:
        InvalidInput: a variant is not written as it has to be, or another module has the name of its module.
    """
    kinds = VariantTables.of(workspace).variants
    for kind, variants in kinds.items():
        for name, variant in variants.items():
            check_importable(f"variants.{kind}.{name}.call", variant.call, workspace.root)
    return kinds


def chosen(config: Config, variants: Mapping[str, Mapping[str, Variant]]) -> dict[str, Variant]:
    """The variants that a config names: kind to variant.

    Args:
        config: valid for this environment.
        variants: what is declared for it.
    """
    picked = {kind: str(config.autopilot.get(key.partition(".")[2]) or "none") for kind, key in VARIANT_KEYS.items()}
    return {kind: variants[kind][name] for kind, name in picked.items() if name != "none"}
