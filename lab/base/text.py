"""Text from elsewhere (logs, models, environments), made harmless to show: bounded, without control sequences."""

import math
import re

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def plain(text: str, limit: int) -> str:
    """`text` without terminal and other control sequences, at most `limit` characters, cuts marked."""
    text = _CONTROL.sub("", _ANSI.sub("", text))
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def number(value: float) -> str:
    """A measured number as people read it: four digits, or whole with thousands grouped."""
    value = value or 0.0  # no minus before a zero
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def short(value: object) -> str:
    """A value as people write it: six digits, thousands grouped in whole numbers, `true` and `none`."""
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return "not set"
    if isinstance(value, int) and abs(value) >= 10_000:
        return f"{value:,}"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def count_of(count: int, noun: str) -> str:
    """A count with its noun, such as `1 run` and `2,000 replicates`; the noun takes an s."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def lasting(seconds: float) -> str:
    """A duration as people say it, such as `2 h 05 min`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def rounded(value: float | None) -> float | None:
    """A number cut to six significant digits; None for what is not finite."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.6g}")
