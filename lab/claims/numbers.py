"""Numbers as they are written: what their digits, signs and words around them say of the value that is meant."""

import re
from dataclasses import dataclass, replace
from typing import TypeGuard

from lab.claims.words import UNITS

WHOLE = 0.05
"""How far a written 0 or 1 may be from the value that is meant: what lies between is most rates' whole range."""
SETTING = 0.05
"""Share that a setting written with one digit may be off: a search sets 0.00298, a person reads 0.003."""
MAGNITUDES = {"k": 1e3, "m": 1e6, "b": 1e9, "": 1.0}


@dataclass(frozen=True)
class Number:
    """A number as written."""

    value: float
    step: float
    """One unit of the last digit."""
    approximate: bool = False
    percent: bool = False
    points: bool = False
    """Whether the number counts percentage points."""
    times: bool = False
    signed: bool = False
    unit: bool = False
    """Whether a unit follows that no record has."""
    word: bool = False
    than: int = 0
    """1 where the number is a lower bound (`≥ 70`), -1 where it is an upper one."""
    more: bool = False
    """Whether `and more` follows, as in `+6+`: the value was cut off, not rounded."""

    @property
    def digits(self) -> int:
        """Significant digits as written."""
        return len(f"{abs(self.value) / self.step:.0f}") if self.step else 1

    @property
    def bound(self) -> float:
        """The number without its unit: a percentage as a share."""
        return self.value / (100 if self.percent else 1)

    @property
    def vague(self) -> bool:
        """Whether this is 0 or 1 without a digit behind the point: as a rounded figure, any rate would fit."""
        return self.step >= 1 and abs(self.value) <= 1

    def fits(self, value: float, off: float = 0.0) -> bool:
        """Whether `value`, rounded as this number is, could be written so.

        Args:
            value: of the record.
            off: how far a writer's value may be from it, who had rounded ones to work with.
        """
        if self.than:
            return (value - self.value) * self.than >= -1e-9 * abs(value)
        if self.more:
            return 0 <= value - self.value < self.step
        slack = self.step / 2
        if self.vague:
            slack = min(slack, WHOLE)  # `perf is 0` is not said of 0.26
        if self.approximate:
            slack = max(self.step, (0.05 if self.digits < 4 else 0.01) * abs(value))
        return abs(value - self.value) <= slack * 1.01 + 1e-12 * abs(value) + off

    def sets(self, value: float) -> bool:
        """Whether a setting, which is exact, could be written so: one digit is no licence to call 0.0025 0.003."""
        if self.digits > 1 or self.approximate or self.than:
            return self.fits(value)
        return abs(value - self.value) <= SETTING * abs(value)

    def scaled(self, factor: float) -> "Number":
        """The number in another unit, `factor` times as large."""
        return replace(self, value=self.value * factor, step=self.step * factor, percent=self.percent, points=False)


NUMBER = re.compile(
    r"(?P<about>(?:~|about |around |roughly |approximately |approx\.? |circa |nearly |almost |some )\s*)?"
    r"(?P<than>(?:[<>]=?|[≤≥])\s*)?"
    r"(?P<sign>(?<![\w.)\]])[+-])?(?P<factor>(?<![\w.)\]])(?<![\d)%] )[x×]\s?(?=[\d.]))?"
    r"(?P<digits>\d{1,3}(?:[,_]\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)(?P<exponent>e[+-]?\d+)?"
    r"(?:(?P<magnitude>[KMkB](?![\w])|[ ](?:[KM]|million|thousand)(?![\w]))"
    r"|\s?(?P<percent>%|percent\b|per cent\b)|(?P<points>\s?%?[ -]?(?:percentage[ -])?points?\b|\s?pp\b))?"
    r"(?P<times>\s?(?:x|×)(?![\w])(?!\s?\d)|\s?times\b|-?fold\b)?"
    rf"(?P<unit>\s?{UNITS}(?![\w/%]))?(?P<more>\+(?![\d+/-]))?",
    re.IGNORECASE,
)


def number_in(match: re.Match[str] | None) -> Number | None:
    """The number that a match of `NUMBER` is; None for no match."""
    if match is None:
        return None
    digits = match["digits"].replace(",", "").replace("_", "")
    magnitude = MAGNITUDES[{"million": "m", "thousand": "k"}.get(m := (match["magnitude"] or "").strip().lower(), m)]
    exponent = 10.0 ** max(-300, min(300, int((match["exponent"] or "e0")[1:])))
    decimals = len(digits.partition(".")[2])
    value = float(digits) * exponent * magnitude
    return Number(
        value=-value if match["sign"] == "-" else value,
        step=10.0**-decimals * exponent * magnitude,
        approximate=bool(match["about"]),
        percent=bool(match["percent"]) and not match["points"],
        points=bool(match["points"]),
        times=bool(match["times"] or match["factor"]),
        signed=bool(match["sign"]),
        unit=bool(match["unit"]),
        than={"<": -1, "≤": -1, ">": 1, "≥": 1}.get((match["than"] or " ")[0], 0),
        more=bool(match["more"]),
    )


def real(value: object) -> TypeGuard[int | float]:
    """Whether a value is a number, and no truth value."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def as_number(text: str) -> float:
    """The number that a text of an equation stands for."""
    return float(text.replace(",", "").replace("_", "").rstrip("."))
