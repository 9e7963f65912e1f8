"""The patterns by which a text names what one record has: metrics, curves, keys, and what people make of them."""

import re
from functools import lru_cache
from itertools import chain

from lab.claims.words import SPOKEN, UNKNOWN, Quantity, named
from lab.judge import Known


def vocabulary(known: Known) -> tuple[tuple[re.Pattern[str], Quantity], ...]:
    """Patterns for all that this record names, the spoken names first."""
    whole = {k for k, v in known.run.config.items() if isinstance(v, int) and not isinstance(v, bool)}
    every = [(run.metrics, run.curves, run.config, run.derived) for run in known.runs]
    metrics, curves, keys, derived = (tuple(dict.fromkeys(chain(*them))) for them in zip(*every, strict=True))
    return _vocabulary(known.scored, known.metric, frozenset(whole), metrics, curves, keys, derived)


@lru_cache(maxsize=64)
def _vocabulary(
    scored: str,
    metric: str,
    whole: frozenset[str],
    metrics: tuple[str, ...],
    curves: tuple[str, ...],
    keys: tuple[str, ...],
    derived: tuple[str, ...],
) -> tuple[tuple[re.Pattern[str], Quantity], ...]:
    score = named("metric:score", f"metric:{scored}", "curve:environment/score", f"curve:environment/{metric}")
    patterns = [("scor(es?|ed|ing)", score), *SPOKEN]
    parts = {
        part: [f"config:{key}" for key in keys if key in whole and key.startswith(f"{part}.")]
        for part in ("vec", "env")
    }
    patterns += [(part, named(*them)) for part, them in parts.items() if them]
    patterns.append(("concurrency|topology", named(*parts["vec"], *parts["env"])))
    for name in metrics:
        patterns.append((_loose(name), named(f"metric:{name}", f"curve:environment/{name}")))
        if name.endswith("_rate"):
            patterns.append((f"{_loose(name.removesuffix('_rate'))}s?", named(f"metric:{name}")))
    plain = [name for name in curves if not name.startswith(("performance/", "system/"))]  # `eval` is a word
    patterns += [(_loose(name.rpartition("/")[2]), named(f"curve:{name}")) for name in plain]
    for name in (*metrics, *(name.rpartition("/")[2] for name in plain if name.startswith("losses/"))):
        meant = (f"metric:{name}", f"curve:environment/{name}") if name in metrics else (f"curve:losses/{name}",)
        patterns += [(short, named(*meant)) for short in _short(name)]
    patterns += [(re.escape(name), named(f"curve:{name}")) for name in curves]
    for key in keys:
        patterns.append((re.escape(key), named(f"config:{key}")))
        patterns.append((_loose(key.rpartition(".")[2]), named(f"config:{key}")))
    patterns += [(_loose(name), named(f"derived:{name}")) for name in derived]
    if losses := [f"curve:{name}" for name in plain if name.startswith("losses/")]:
        patterns.append(("losses", named(*losses)))
    patterns.append((UNKNOWN, Quantity(())))
    unique: dict[str, Quantity] = {}
    for pattern, quantity in patterns:
        unique.setdefault(pattern, quantity)
    return tuple((re.compile(rf"(?:{it})(?![\w])", re.IGNORECASE), quantity) for it, quantity in unique.items())


def _short(name: str) -> list[str]:
    """What people make of a name of several words: `oob`, `oob_rate`, `vloss`, `explained var`."""
    parts = name.removesuffix("_rate").split("_")
    if len(parts) < 2:
        return []
    if len(parts) > 2:
        return [rf"{''.join(part[0] for part in parts)}([ _]rate)?"]
    return [f"{parts[0][0]}[_ ]?{parts[1]}", r"[ _.]+".join(rf"{part[:4]}\w*" for part in parts)]


def _loose(name: str) -> str:
    """A name with blanks, hyphens or underscores between its words."""
    return "[ _-]?".join(re.escape(part) for part in re.split(r"[_\s]", name))
