"""How replicates lie: those of a run, those of all that repeat it, those on the fresh seeds of a candidate."""

import re
import statistics
from collections.abc import Iterator, Sequence
from itertools import chain

from lab.claims.reading import Sentence
from lab.claims.words import GREEDY, coded
from lab.judge import KnownRun

Statistics = Iterator[tuple[float, str]]
SEED = re.compile(
    r"\b(?:seeds?|replicates?|reps?|vals|median|std|sds?|spread|pooled|repeats?|reseeds?|redone|rerun)\b|[±]",
    re.IGNORECASE,
)
AMONG = re.compile(
    r"\b(?:values|mean|avg|average|range|ci(?:95)?|interval|blocks?|family|together|min|max|lo|hi|low\w*|high\w*|worst"
    r"|best|slowest|fastest|upper|n ?=|others?)\b",
    re.IGNORECASE,
)
"""Words of what may be seeds', where no quantity stands beside the figure."""
NOISE = re.compile(r"±|\+/?-|\b(?:sds?|std|noise)\b", re.IGNORECASE)
FRESH = re.compile(
    r"\b(?:fresh|new (?:seeds|ones)|confirm\w*|dropped|a side|level|difference|interval)\b", re.IGNORECASE
)


def scatter(s: Sentence, run: KnownRun, names: Sequence[str], said: str) -> Statistics:
    """How the replicates of a run lie in some metrics, the greedy policy's too, and those of all that repeat it."""
    if s.known.noise and NOISE.search(said):
        yield s.known.noise.replicate_sd, "the noise floor"
    same = repeats(s, run)
    seeds = {str(seed) for one in (run, *same) for seed in one.seeds}
    rows = any(text.strip("# ").removeprefix("seed").strip() in seeds for text, _ in s.cells)
    listed = re.search(coded("number [,and]?number"), s.codes)
    if not (SEED.search(said) or AMONG.search(said) or rows or listed):
        return
    for name in names if s.seed is None else ():
        metric = run.metrics.get(name)
        if metric and metric.n > 1:
            yield from _spread(metric.values, f"{name} in {run.run_id}")
            for end, value in (("low", metric.low), ("high", metric.high)):
                if value is not None:
                    yield abs(value - metric.mean), f"half of the 95 % interval of {name} in {run.run_id}"
                    yield value, f"{end} end of the 95 % interval of {name} in {run.run_id}"
        if (GREEDY.search(said) or rows) and len(values := run.greedy_values.get(name, ())) > 1:
            yield from _spread(values, f"greedy {name} in {run.run_id}")
    yield from _spread(pooled(s, same), f"{s.known.metric} over the repeats of {run.run_id}")


def fresh(s: Sentence, run: KnownRun, said: str) -> Statistics:
    """What the fresh seeds of a run came to against the incumbent's, and how they lie."""
    if not FRESH.search(said):
        return
    if told := run.confirmed:
        for name in ("effect", "level", "low", "high"):
            if (value := getattr(told, name)) is not None:
                yield value, f"{name} of the fresh seeds of {run.run_id} against {told.against}: {value:.6g}"
    again = [one.metrics[s.known.metric].values for one in repeats(s, run) if one.replicates_of]
    yield from _spread([*chain.from_iterable(again)], f"the fresh seeds of {run.run_id}")


def _spread(values: Sequence[float], what: str) -> Statistics:
    if len(values) < 2:
        return
    yield from ((value, f"a replicate of {what}: {value:.6g}") for value in values)
    yield statistics.median(values), f"the median replicate of {what}"
    yield statistics.stdev(values), f"the standard deviation of {what}"
    yield max(values) - min(values), f"the spread of {what}"
    yield statistics.fmean(values), f"the mean of {what}"


def repeats(s: Sentence, run: KnownRun) -> list[KnownRun]:
    """All runs of one config: a run, the one that it repeats, and what else repeats that."""
    origin, every = run.replicates_of or run.run_id, (*s.known.runs, *s.known.repeats.values())
    return [one for one in every if origin in (one.run_id, one.replicates_of) and s.known.metric in one.metrics]


def pooled(s: Sentence, runs: Sequence[KnownRun]) -> list[float]:
    """The objective's values of several runs; none of a single one."""
    return [value for run in runs for value in run.metrics[s.known.metric].values] if len(runs) > 1 else []
