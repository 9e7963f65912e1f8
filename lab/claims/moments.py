"""Figures of a curve at a moment that the statement names: `0.43 at 10 % of training`, `by 2M steps 0.86`."""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import fmean

from lab.claims.families import curves_of, seed_curve
from lab.claims.reading import Sentence
from lab.claims.scattering import Statistics
from lab.judge import KnownRun

MOMENT = re.compile(
    r"\b(?:at|by|after|around|near|until|from|of|over)\s+(?:about |around |the |~)?"
    r"(?:(?P<share>\d[\d.]*) ?%|(?P<steps>\d[\d.,]*)(?P<unit> ?[kM])?\b(?: (?:agent )?steps)?"
    r"|(?P<half>half[- ]?(?:way|time)))",
    re.IGNORECASE,
)
UNITS = {"k": 1e3, "m": 1e6}
FEWEST, FAR = 1e4, 60
"""Steps below which a number is no moment; how many characters from its moment a figure may stand."""


def at_moments(s: Sentence, place: int, runs: Sequence[KnownRun], names: Sequence[str]) -> Statistics:
    """The values of some curves at the moments that stand nearest to a figure, of one replicate where it is named."""
    for share, steps, words in _near(s, place):
        for run in runs:
            step = share * (run.steps or 0.0) if share else steps
            for name in names:
                points = run.points.get(name, ())
                one = seed_curve(s, run, points)
                curves = [one] if one else [*curves_of(points)]
                if not curves or not all(curve[0][0] <= step <= curve[-1][0] for curve in curves):
                    continue
                for how in (_between, _nearest):
                    value = fmean(how(curve, step) for curve in curves)
                    yield value, f"{name} {words} in {run.run_id}: {value:.6g}"


def dated(s: Sentence, place: int) -> bool:
    """Whether a moment stands right behind a figure, which is then of that moment: `0.76 at 40 %`."""
    said = MOMENT.match(s.text, s.tokens[place].end + 1)
    return said is not None and bool(said["share"] or said["unit"] or said["half"])


def _near(s: Sentence, place: int) -> Iterator[tuple[float, float, str]]:
    """The moments nearest before and behind a figure: as a share of the training, or in steps."""
    start, end = s.tokens[place].start, s.tokens[place].end
    every = [said for said in MOMENT.finditer(s.text) if not said.start() <= start < said.end()]
    before = [said for said in every if said.end() <= start and ";" not in s.text[said.end() : start]]
    behind = [said for said in every if said.start() >= end and ";" not in s.text[end : said.start()]]
    near = [*(said for said in behind[:1] if said.start() - end < FAR), *before[-1:]]
    if behind and behind[0].start() - end < 3:
        near = near[:1]  # `0.76 at 40 %`
    for said in near:
        if said["steps"]:
            steps = float(said["steps"].strip(".,").replace(",", "")) * UNITS.get(
                (said["unit"] or "").strip().lower(), 1
            )
            if steps >= FEWEST:
                yield 0.0, steps, said.group()
        else:
            yield float(said["share"] or 50) / 100, 0.0, said.group()


def _between(curve: Sequence[tuple[float, float]], step: float) -> float:
    """What a curve is at a step, between the two points about it."""
    for (a, one), (b, other) in pairwise(curve):
        if a <= step <= b and a < b:
            return one + (other - one) * (step - a) / (b - a)
    return curve[-1][1]


def _nearest(curve: Sequence[tuple[float, float]], step: float) -> float:
    """What a curve is where it was logged next to a step."""
    return min(curve, key=lambda point: abs(point[0] - step))[1]
