"""What a session uses besides time, said before it begins: tokens and their price, the disk."""

import shutil
from pathlib import Path

from agent.model import Price
from lab.base import TrainingFailed, count_of, existing, invalid
from lab.store import Lab, SessionRecord, Sessions
from training import NEEDED, limit_text

TOKENS = 50_000
"""Of one analysis, where none was made here yet (docs/benchmarks.md, `benchmarks.prompt`)."""
KEPT_MIB = 2.0
"""What a run leaves on the disk, where none was made here yet: metrics, last weights, report, pictures."""


def tokens_text(lab: Lab, record: SessionRecord, price: Price | None, runs: float) -> str:
    """What a model's analyses take in tokens and dollars, after a semicolon.

    Args:
        lab: where earlier sessions of this model are.
        record: the session.
        price: of its model; None where nobody knows it.
        runs: that it has time for.
    """
    each, how = _tokens_each(lab, record.model)
    limits = record.budgets
    said = f"; about {each:,.0f} tokens an analysis ({how})"
    if price is None:
        said += "; its price is not known ([prices] in autopilot.toml)"
    else:
        dollars = each * (0.95 * price.input + 0.05 * price.output) / 1e6
        said += f", ${dollars:.3f} at the price that is known, ${dollars * runs:.2f} for {count_of(round(runs), 'run')}"
    if limits.max_tokens and limits.max_tokens < each * runs:
        said += f"; the tokens are used up after about {limits.max_tokens / each:,.0f} analyses"
    return said


def _tokens_each(lab: Lab, model: str) -> tuple[float, str]:
    """Tokens of an analysis by earlier sessions of this model here."""
    spent, runs = 0, 0
    for other in Sessions(lab.notebook.workspace).all():
        if other.model == model and other.spent.tokens:
            spent += other.spent.tokens
            runs += sum(not run.replicates_of for run in lab.notebook.runs(session=other.session_id))
    return (spent / runs, "as in earlier sessions here") if runs else (TOKENS, "as measured elsewhere")


def disk_text(lab: Lab, record: SessionRecord) -> str:
    """What is free, and what a run leaves.

    Args:
        lab: where the session's runs will be.
        record: the session.

    Raises:
        InvalidInput: there is no room for a training.
        TrainingFailed: files may not grow as large as they have to.
    """
    if limited := limit_text():
        raise TrainingFailed(limited)
    place = existing(lab.notebook.workspace.runs)
    free, each = shutil.disk_usage(place).free, _bytes_each(lab, record.env_name)
    if free < NEEDED:
        rule = f"has {free / 2**20:.0f} MiB free, and a training needs {NEEDED / 2**20:.0f} MiB"
        raise invalid("workspace", str(lab.notebook.workspace.root), rule, "make room, or another --workspace")
    runs = record.budgets.max_runs or 1
    short = f"; {count_of(runs, 'run')} need more" if free < NEEDED + runs * each else ""
    room = f"{free / 2**30:,.1f} GiB" if free >= 2**30 else f"{free / 2**20:.0f} MiB"
    return f"{room} free; a run leaves about {each / 2**20:.1f} MiB{short}"


def _bytes_each(lab: Lab, env_name: str) -> float:
    """What a run leaves, by the latest ones."""
    latest = [run for run in lab.notebook.latest(5, env_name) if run.state.ended]
    sizes = [_size(lab.notebook.workspace.run(run.run_id).dir) for run in latest]
    return sum(sizes) / len(sizes) if sizes else KEPT_MIB * 2**20


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
