"""Jinja2 templates from `prompts/`. A name that a template uses and nobody gave is an error, never an empty text."""

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from lab.base import number, short, tail


@cache
def _environment() -> Environment:
    # Markdown, not HTML: whatever shows it as HTML sanitizes it there.
    environment = Environment(  # noqa: S701
        loader=FileSystemLoader(Path(__file__).resolve().parent.parent / "prompts"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["short"] = short
    environment.filters["tail"] = tail
    environment.filters["num"] = number
    environment.filters["brief"] = lambda value: f"{value:.3g}" if isinstance(value, float) else short(value)
    environment.filters["signed"] = lambda value: f"{value:+.3g}"
    environment.filters["name"] = lambda key: key.split(".", 1)[-1]
    return environment


def render(template: str, **values: Any) -> str:
    """A template of `prompts/`, filled.

    Args:
        template: its path below `prompts/`.
        values: every name that it uses.
    """
    return _environment().get_template(template).render(**values)
