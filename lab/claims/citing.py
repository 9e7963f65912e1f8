"""Numbers cited by reference: `{{ run.metrics.perf }}` in a model's text becomes the number of the record.

It is no template language: a path is looked up and formatted, nothing is evaluated.
"""

import re
from collections.abc import Mapping
from typing import Any

from lab.base import NotFound, number
from lab.judge import Known

REFERENCE = re.compile(r"\{\{\s*([^{}\n]{1,200}?)\s*\}\}")


def cited(text: str, known: Known, answers: Mapping[str, Any], numbers: dict[str, float]) -> str:
    """A text with its references replaced by what they refer to.

    Args:
        text: as the model wrote it.
        known: the record: `run`, `parent`, `incumbent`, `baseline`, `noise`, `proposal` (the first of `proposals`),
            `predicted`, or a run's id.
        answers: name of a tool to its latest answer: `compare_runs.effect`.
        numbers: gets each number that was cited, by its path.

    Raises:
        NotFound: a path leads nowhere; says what there is.
    """
    roots: dict[str, Any] = {name: run.model_dump() for name, run in known.others.items()}
    roots |= {"run": known.run.model_dump(), known.run.run_id: known.run.model_dump()}
    for name, run_id in (("parent", known.run.parent), ("incumbent", known.incumbent), ("baseline", known.baseline)):
        if run := known.get(run_id):
            roots[name] = run.model_dump()
    about = known.model_dump()
    roots |= {name: about[name] for name in ("noise", "proposals", "predicted") if about[name]}
    if about["proposals"]:
        roots["proposal"] = about["proposals"][0]
    for name in ("run", "parent", "incumbent", "baseline"):
        if name in roots:
            roots[name]["verdict"] = roots[name]["verdicts"].get(known.incumbent) or {}
    roots |= {name: value for name, value in answers.items() if name not in roots}

    def replaced(match: re.Match[str]) -> str:
        value = _main(_at_path(roots, match.group(1), match.group(1)))
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            numbers[f"cited: {match.group(1)}"] = float(value)
        return _text(value)

    return REFERENCE.sub(replaced, text)


def _at_path(value: Any, path: str, whole: str) -> Any:
    """The value of a path. Keys have dots and slashes of their own, so the longest one that fits is taken."""
    if not path:
        return value
    if isinstance(value, Mapping):
        for key in sorted(map(str, value), key=len, reverse=True):
            if path == key or path.startswith((f"{key}.", f"{key}[")):
                return _at_path(value[key], path[len(key) :].lstrip("."), whole)
        raise NotFound(
            f"{{{{ {whole} }}}} leads nowhere at {path!r}: there are {', '.join(sorted(map(str, value)))[:300]}"
        )
    index = re.match(r"\[?(\d+)\]?\.?", path)
    if isinstance(value, (list, tuple)) and index and int(index.group(1)) < len(value):
        return _at_path(value[int(index.group(1))], path[index.end() :], whole)
    raise NotFound(f"{{{{ {whole} }}}} leads nowhere at {path!r}")


def _main(value: Any) -> Any:
    """The part of a value that prose cites: a metric's mean, an extreme's value, a verdict's word."""
    if not isinstance(value, Mapping):
        return value
    main = next((value[name] for name in ("mean", "value", "verdict") if name in value), None)
    if main is None:
        names = ", ".join(sorted(map(str, value)))[:200]
        raise NotFound(f"a reference must lead to a number or a word, not to one with {names}")
    return main


def _text(value: Any) -> str:
    """A value as it stands in prose."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return number(value)
    if isinstance(value, (list, tuple)):
        return ", ".join(_text(_main(item)) for item in value)
    return str(value)
