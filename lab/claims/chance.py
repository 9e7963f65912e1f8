"""Whether a figure is told by its value: among all that it may be, nearly no other figure would be found as well.

A family of statistics may be wide, since of a wide one nearly any figure would be one; then finding it says nothing.
"""

from collections.abc import Sequence

from lab.claims.numbers import Number
from lab.claims.recorded import fits, settles
from lab.claims.words import Quantity

ABOUT, CHANCE, DIFFERS = 0.4, 0.13, 0.3
"""How far from a figure others are looked at, and the share of them that a reading may find true as well: of what finds
more, a false figure would be found too. A single value with two digits is one of eight figures at most. Differences
have fewer digits than what they are of, and few are tried."""


def told(
    number: Number, values: Sequence[tuple[float, str]], quantity: Quantity | None = None, *, sure: bool = False
) -> str | None:
    """Words for the first value that a number says; none where nearly any number would have said one of them.

    Args:
        number: as it is written.
        values: those that it may say, each with words for it.
        quantity: what they are of, where it is named.
        sure: whether the quantity's name stands beside a whole number: then it need not be told by its value.
    """
    found = next((what for value, what in values if says(number, value, quantity)), None)
    return found if found and (sure or chance(number, [value for value, _ in values]) <= CHANCE) else None


def somehow(number: Number, values: Sequence[tuple[float, str]]) -> str | None:
    """Words for the first value that a number says, by chance or not."""
    return told(number, values, sure=True)


def chance(number: Number, values: Sequence[float]) -> float:
    """The share of the numbers about this one, written as it is, that would say one of the values as well."""
    unit = 0.01 if number.percent or number.points else 1.0
    x, slack = abs(number.value) * unit, number.step * unit / 2
    low, high = x * (1 - ABOUT), x * (1 + ABOUT)
    if high <= low:
        return 0.0 if number.step < 1 else 1.0
    covered, reached = 0.0, low
    for value in sorted(abs(value) for value in values):
        wide = max(2 * slack, 0.05 * value) if number.approximate else slack
        begin, end = max(reached, value - wide), min(high, value + wide)
        if end > begin:
            covered, reached = covered + end - begin, end
    return covered / (high - low)


def says(number: Number, value: float, quantity: Quantity | None = None) -> bool:
    """Whether a number says a value; a bound only where it is near."""
    if number.than:
        near = abs(value) <= 2 * abs(number.bound) and abs(number.bound) <= 2 * abs(value)
        return near and fits(number, value)
    return settles(number, value, quantity) if quantity else fits(number, value)
