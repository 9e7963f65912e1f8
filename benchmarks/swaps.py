"""How often a false statement is seen: true statements of our own reports with one thing exchanged.

    python -m benchmarks.swaps [--runs N ...]

True statements in the words of our reports, about runs of the fake runner, each run a change or two of an earlier one.
In each one thing is exchanged: a figure for another run's of the same quantity (run), for another
metric's of the same run (metric), for a replicate's or a curve's (statistic), for its opposite sign or for one that is
off by a few per cent (value), a staged value for another (staged). Counted is what the exchanged claim comes to.
"""

import argparse
import random
import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterator

from benchmarks.common import ENV, tell, workspace
from lab.base import number
from lab.claims import Checked, check
from lab.judge import Known, known_of
from lab.judge.known import Proposed
from lab.space import preset_config
from lab.store import Notebook, RunRecord, create_run
from training import FakeRunner, load_inventory, train_run

SWAPS = 200
REPORTED = 24
"""Runs whose statements are taken, the last ones."""
NAMED = 40
"""Runs, of all before those, that a text is taken to name: as many as one is looked up for, so that the record which a
statement is held against is as wide as it gets."""
KEYS = {"train.learning_rate": (1e-4, 1e-1), "train.ent_coef": (1e-3, 1e-1), "train.gamma": (0.9, 0.999)}
FIGURE = re.compile(r"(?<![\w.])[+-]?\d+\.\d+")


def trained(notebook: Notebook, count: int, draw: random.Random) -> list[RunRecord]:
    """So many runs, each with one or two keys of an earlier one changed."""
    inventory = load_inventory([ENV])
    base = preset_config(inventory.environment(ENV), "quick")
    runs: list[RunRecord] = []
    for _ in range(count):
        parent = draw.choice(runs[-8:]) if runs else None
        keys = draw.sample(sorted(KEYS), draw.choice((1, 2))) if parent else []
        changes = {key: float(f"{draw.uniform(*KEYS[key]):.3g}") for key in keys}
        config = (notebook.config(parent.run_id) if parent else base).with_overrides(changes)
        more = {"parent": parent.run_id} if parent else {}
        run = create_run(
            notebook,
            config,
            changes,
            preset="quick",
            objective="perf:max",
            arm="offline" if parent else "baseline",
            **more,
        )
        runs.append(train_run(notebook, FakeRunner(), inventory, run.run_id, lambda _: None))
    return runs


def statements(known: Known) -> Iterator[tuple[str, str]]:
    """Section and text of what is true of a run, in the words of our reports."""
    run, parent = known.run, known.get(known.run.parent)
    perf = run.metrics["perf"]
    told = [f"perf is {number(perf.mean)} on average."]
    told += [
        f"{name}: {number(m.mean)}" for name, m in run.metrics.items() if 0.001 < abs(m.mean) < 1e4 and name != "perf"
    ]
    told += [
        f"This run reached a {name} of {number(m.mean)}."
        for name, m in run.metrics.items()
        if name in ("score", "perf")
    ]
    if parent and "perf" in parent.metrics:
        gap = perf.mean - parent.metrics["perf"].mean
        told.append(f"Against its parent {parent.run_id} the difference in perf is {gap:+.4f}.")
        told.append(f"The parent had a perf of {number(parent.metrics['perf'].mean)}.")
    told += [f"{key} went from {a:g} to {b:g}." for key, (a, b) in run.changed.items() if isinstance(a, float)]
    if entropy := run.curves.get("losses/entropy"):
        told.append(f"Policy entropy went from {number(entropy.first)} to {number(entropy.last)}.")
    yield from (("observations", text) for text in told)
    yield from (("next_step", f"Try {key} = {value}.") for p in known.proposals for key, value in p.overrides.items())


def exchanged(known: Known, section: str, text: str, draw: random.Random) -> tuple[str, str, str] | None:
    """What was exchanged, the text afterwards and the new figure."""
    places = list(FIGURE.finditer(text))
    if not places:
        return None
    place, run = places[-1], known.run
    value = float(place.group())
    others = [m.mean for one in known.others.values() for name, m in one.metrics.items() if name in text]
    metrics = [m.mean for name, m in run.metrics.items() if name not in text and 0.001 < abs(m.mean) < 1e4]
    parts = [v for name, m in run.metrics.items() if name in text for v in (max(m.values), min(m.values))]
    parts += [c.max.value for name, c in run.curves.items() if name.rpartition("/")[2] in text]
    kinds = {"run": others, "metric": metrics, "statistic": parts, "value": [value * draw.uniform(1.05, 1.4)]}
    if place.group()[0] in "+-":
        kinds = {"sign": [-value]}
    if section == "next_step":
        kinds = {"staged": [value * draw.choice((0.1, 2.0, 10.0))]}
    kind = draw.choice([kind for kind, values in kinds.items() if values])
    new = f"{draw.choice(kinds[kind]):+.4f}" if kind == "sign" else number(draw.choice(kinds[kind]))
    close = abs(float(new.replace(",", "")) - value) <= 0.02 * abs(value)
    return None if close else (kind, text[: place.start()] + new + text[place.end() :], new)


def status_of(checked: Checked, figure: str) -> str:
    """What the claim that has a figure comes to."""
    said = {claim.status for claim in checked.claims if figure in claim.quote}
    return next((one for one in ("contradicted", "verified", "unsupported") if one in said), "none")


def score(count: int, seed: int) -> dict[str, object]:
    """The shares over 200 swaps, in a workspace of so many runs."""
    draw, kinds, times = random.Random(seed), defaultdict[str, Counter[str]](Counter), list[float]()  # noqa: S311
    truths = Counter[str]()
    with workspace() as place:
        notebook = Notebook(place)
        runs = trained(notebook, count, draw)
        every, runs = [run.run_id for run in runs[:-REPORTED]], runs[-REPORTED:]
        pairs = []
        for run in runs:
            named = draw.sample(every, min(NAMED, len(every)))
            known = known_of(notebook, run, 1, notebook.incumbent(run.group), None, mentioned=named)
            staged = {key: float(f"{draw.uniform(*KEYS[key]):.3g}") for key in draw.sample(sorted(KEYS), 1)}
            known = known.model_copy(update={"proposals": (Proposed(parent=run.run_id, overrides=staged),)})
            pairs += [(known, section, text) for section, text in statements(known)]
        for known, section, text in pairs:
            truths[
                status_of(check(known, {section: text}), FIGURE.findall(text)[-1] if FIGURE.findall(text) else "")
            ] += 1
        for _ in range(50 * SWAPS):
            if sum(counts.total() for counts in kinds.values()) >= SWAPS:
                break
            known, section, text = draw.choice(pairs)
            swap = exchanged(known, section, text, draw)
            if swap is not None:
                begun = time.process_time()
                kinds[swap[0]][status_of(check(known, {section: swap[1]}), swap[2])] += 1
                times.append(time.process_time() - begun)
    total = sum(kinds.values(), Counter[str]())
    return {
        "runs": count,
        "true_statements": dict(truths),
        "swaps": total.total(),
        "verified": round(total["verified"] / total.total(), 3),
        "contradicted": round(total["contradicted"] / total.total(), 3),
        "by_kind": {kind: dict(counts) for kind, counts in sorted(kinds.items())},
        "milliseconds_a_sentence": round(1000 * sum(times) / len(times), 2),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, nargs="+", default=[40], help="runs of the workspaces")
    tell("statements with one thing exchanged", of=[score(count, seed=7) for count in parser.parse_args().runs])
