"""Claims about equations, intervals and bounds."""

import ast
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from lab.claims.numbers import Number, as_number, real
from lab.claims.reading import Sentence
from lab.claims.recorded import fits
from lab.claims.words import FUTURE, LATER, Code, coded, whole
from lab.judge import KnownRun

OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
    ast.Add: operator.add,
    ast.Sub: operator.sub,
}
SIGNS = str.maketrans({"×": "*", "·": "*", "÷": "/", "_": None, ",": None})
NAME = re.compile(r"[A-Za-z]\w*[._][\w.]*\w")


def equations(s: Sentence) -> None:
    """Judge equations: whether `4 x 8 x 56 x 16 = 28,672` comes out so, numbers with labels and names of keys too."""
    for first, _ in s.matches("equation"):
        text = s.text[s.tokens[first].start : s.tokens[first].end]
        left, right = re.split(r"==?|\b(?:is|gives|makes)\b", text, flags=re.IGNORECASE)
        told = NAME.sub(partial(_named, s.subject.config), left)
        plain = re.sub(r"(?<=[\s\d)])x(?=[\s\d(])", "*", told).translate(SIGNS)
        plain = re.sub(r"[a-z]+", "", plain, flags=re.IGNORECASE)  # what a number counts
        try:
            result = _evaluated(ast.parse(plain.strip(), mode="eval").body)
        except (SyntaxError, ValueError, ZeroDivisionError, OverflowError):
            s.say(first, first, "unsupported", "it can't be worked out")
            continue
        said = Number(as_number(right), 10.0 ** -len(right.strip().partition(".")[2]))
        s.judge(first, first, said.fits(result), f"{' '.join(plain.split())} = {result:.10g}")


def _named(config: Mapping[str, Any], name: re.Match[str]) -> str:
    """The value of a key, by its dotted name or its last part; a sign that means nothing for any other."""
    keys = [key for key in config if name.group() in (key, key.rpartition(".")[2])]
    return str(config[keys[0]]) if len(keys) == 1 and real(config[keys[0]]) else "?"


def _evaluated(node: ast.expr) -> float:
    """The result of numbers, operators and brackets.

    Raises:
        ValueError: there is something else in it.
    """
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        return float(node.value)
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        return OPERATORS[type(node.op)](_evaluated(node.left), _evaluated(node.right))
    raise ValueError(ast.dump(node)[:80])


def intervals(s: Sentence) -> None:
    """Judge intervals of a metric, replicates, an effect or a prediction: `[0.71, 0.75]`, `between 0.71 and 0.75`."""
    for pattern, ends in (
        (r"\[N,N\]", (1, 3)),
        (r"mN&N", (1, 3)),
        (r"\(N,N\)", (1, 3)),
        (r"N-N", (0, 2)),
        (r"NoN", (0, 2)),
    ):
        for first, last in s.matches(pattern):
            one, other = s.number(first + ends[0]), s.number(first + ends[1])
            if pattern == "NoN" and one.value > other.value:
                continue  # `1.33 to 0.46`: a way, no range
            if pattern == "NoN" and s.codes[:first].endswith(("f", "y")):
                continue  # `from 0.46 to 1.33`
            if other.percent and not one.percent:
                one = Number(one.value, one.step, percent=True)
            if s.section == "next_step" and LATER.search(s.text):
                s.used.update(range(first, last + 1))
                continue
            start, end = (first, last) if pattern[0] in r"\[" else (first + ends[0], first + ends[1])
            _interval(s, start, end, first + ends[0], one, other)


def _interval(s: Sentence, start: int, end: int, place: int, one: Number, other: Number) -> None:
    quantity, run = s.quantity(place), s.owner(place)
    if end + 1 < len(s.codes) and s.codes[end + 1] == Code.RUN:
        run = s.run_of(s.tokens[end + 1])
    if quantity and quantity.section == "count":  # `its replicates lie between`: of what is spoken of
        quantity = s.objective
    ahead = s.section == "next_step" or (bool(s.known.proposals) and FUTURE.search(s.text) is not None)
    pairs: list[tuple[float | None, float | None, str]] = []
    directions: list[tuple[int, bool]] = []
    names = [key.partition(":")[2] for key in quantity.keys] if quantity else []
    if not ahead:
        pairs += _recorded(s, run, names)
        if quantity is None or quantity.section != "config" or not s.adjacent(place):  # `gamma between 0.9 and 0.95`
            pairs += [(v.low, v.high, f"effect against {against}") for against, v in run.verdicts.items()]
        pairs += over_runs(s, names)
    expected = [p for p in s.known.expected if not names or p.metric in names] if ahead else []
    if expected:
        pairs[:0] = [(p.low, p.high, f"predicted of {p.metric}") for p in reversed(expected)]
        ways = {p.direction[0] for p in expected}
        directions += [
            (i, s.codes[i] in ways) for i in range(max(0, start - 4), start) if s.codes[i] in coded("up down")
        ]
    pairs += [(p.low, p.high, f"had been predicted of {p.metric}") for p in s.known.predicted if ahead]
    known = [(low, high, what) for low, high, what in pairs if low is not None and high is not None]
    hit = next((p for p in known if fits(one, p[0]) and fits(other, p[1])), None)
    told = "; ".join(f"{what}: {low:.6g} to {high:.6g}" for low, high, what in known[:2])
    for arrow, right in directions:
        s.judge(arrow, arrow, right, told)
    if known:
        s.judge(start, end, hit is not None, told)
    else:
        s.judge(start, end, None, "no such interval in the record")


OVER = re.compile(
    r"\b(?:over|across|among|in|of|for) (?:all |the |our |these )*(?:last|past|latest|recent)? ?"
    r"(?P<n>\w+)? ?(?:finished )?runs?\b",
    re.IGNORECASE,
)
"""A set of runs that a range is said to be over: `over the last three runs`."""


def over_runs(s: Sentence, names: list[str]) -> Iterator[tuple[float, float, str]]:
    """The range of a metric or a setting over the runs that the sentence names as a set."""
    said = OVER.search(s.text)
    if said is None:
        return
    count, runs = whole(said["n"] or ""), s.known.finished
    for name in names:
        values = [run.metrics[name].mean for run in runs[-(count or 0) :] if name in run.metrics]
        if len(set(values)) > 1:
            yield min(values), max(values), f"{name} over {len(values)} runs"


def _recorded(s: Sentence, run: KnownRun, names: list[str]) -> list[tuple[float | None, float | None, str]]:
    """Intervals of a run: of its metrics, over its replicates, over runs alike."""
    pairs: list[tuple[float | None, float | None, str]] = []
    for name in names:
        if metric := run.metrics.get(name):
            pairs.append((metric.low, metric.high, f"95 % interval of {name} in {run.run_id}"))
            pairs.append((min(metric.values), max(metric.values), f"replicates of {name} in {run.run_id}"))
        among = [m.mean for other in s.alike(run) if (m := other.metrics.get(name))]
        pairs += [(a, b, f"{name} of runs alike") for a in among for b in among if a != b]
        among = [float(other.config[name]) for other in s.alike(run) if real(other.config.get(name))]
        pairs += [(min(among), max(among), f"{name} of runs alike")] if len(set(among)) > 1 else []
    foretold = [p for p in s.known.predicted if p.metric in names or not names] if run is s.known.run else []
    pairs += [(p.low, p.high, f"predicted of {p.metric}") for p in foretold]
    return pairs


def thresholds(s: Sentence) -> None:
    """Judge bounds: `finished above 0.73`, `never exceeded 0.02`."""
    for first, last in s.matches("not? [up aspect down]{0,2} [up down] number|not [word up]{1,2} number"):
        word, number = s.word(last - 1), s.number(last)
        if word not in {"above", "below", "exceeded", "exceeds", "exceed", "under", "over"}:
            continue
        quantity, up = s.quantity(last) or s.objective, word not in {"below", "under"}
        bound = number.bound
        aspects = s.aspects(last) | {"max" if up else "min"}
        recorded = s.values(quantity, s.subject, aspects) or s.values(quantity, s.subject, set())
        values = [value for value, _ in recorded]
        if not values:
            s.judge(first, last, None, "no such value in the record")
            continue
        true = all((value > bound) == up for value in values)
        if Code.NOT in s.codes[first:last]:
            true = not any((value > bound) == up for value in values)
        lead = first if Code.NOT in s.codes[first:last] else last - 1
        s.judge(lead, last, true, ", ".join(f"{value:.6g}" for value in values[:5]))


def zeros(s: Sentence) -> None:
    """Judge whether an effect's interval holds zero: `an interval that includes zero`."""
    pattern = r"\b(includes?|contains?|spans?|covers?|straddles?|crosses|excludes?)\s+(?:zero|0)\b(?!\.\d)"
    for match, first, last in s.phrases(re.compile(pattern, re.IGNORECASE)):
        ends = [(v.low, v.high) for v in s.subject.verdicts.values() if v.low is not None and v.high is not None]
        holds = any(low <= 0 <= high for low, high in ends) != match.group(1).lower().startswith("exclude")
        s.judge(first, last, holds if ends else None, "; ".join(f"{low:.6g} to {high:.6g}" for low, high in ends))
