"""Claims about single replicates, about how far replicates scatter, and about how a batch is split."""

import re
from collections.abc import Iterator

from lab.claims.reading import Sentence
from lab.claims.recorded import fits
from lab.claims.words import Code, whole

SPLIT = re.compile(r"\b(minibatch(?:es)?|epochs?|updates?|batch(?:es)?) of $", re.IGNORECASE)
PARTS = {"m": "minibatches", "e": "epochs", "u": "epochs", "b": "epochs"}
SOME = re.compile(
    r"\b(all|both|every|each|none|no|(?P<n>\w+) of (?:the |its )?(?:\w+ )?)\s*(?:of )?(?:the |its |our )?"
    r"(?:(?P<all>\w+) )?(?:seeds?|replicates?)\b[^.;]*?"
    r"\b(?P<verb>beat|beats|exceed(?:s|ed)?|outperform(?:s|ed)?|above|below)\b",
    re.IGNORECASE,
)
"""How many replicates are said to lie above or below something: `two of three replicates exceeded`."""


def counted(s: Sentence) -> None:
    """Judge counts: `two of three replicates exceeded 0.256`, `all of its seeds beat the parent's mean`."""
    for said in SOME.finditer(s.text):
        inside = s.within(*said.span())
        if not inside:
            continue
        verb, name = inside[-1], s.known.metric
        s.look(verb)
        if of := next((i for i in inside if s.codes[i] == Code.RUN), None):
            s.subject = s.run_of(s.tokens[of])  # `all five replicates of the baseline`
        metric = s.subject.metrics.get(name)
        if metric is None:
            continue
        number = next((i for i in _numbers(s) if i > verb), None)
        named = next((i for i in range(verb, len(s.tokens)) if s.codes[i] == Code.RUN), None)
        if number is not None:
            bound, last = s.number(number).bound, number
        elif named is not None and (other := s.run_of(s.tokens[named]).metrics.get(name)):
            bound, last = other.mean, named
        else:
            continue
        above = "below" not in said["verb"].lower()
        count = sum((value > bound) == above for value in metric.values)
        word = (said["n"] or said.group(1)).lower()
        wanted = metric.n if word in ("all", "both", "every", "each") else 0 if word in ("none", "no") else whole(word)
        if wanted is not None:
            what = f"{count} of {metric.n} are {'above' if above else 'below'} {bound:.6g}"
            others = (whole(said["all"] or "") or metric.n) != metric.n  # with those on fresh seeds, perhaps
            s.judge(inside[0], last, None if others else count == wanted, what)


def splits(s: Sentence) -> None:
    """Judge how a batch is split, number and size: `4 minibatches of 8,192`, `10 epochs of 32,768`."""
    for index in _numbers(s):
        part = SPLIT.search(s.text[: s.tokens[index].start])
        if part is None:
            continue
        s.look(index)
        kind = part.group(1)[0].lower()
        size = "train.minibatch_size" if kind == "m" else None
        each = s.subject.config.get(size) if size else s.subject.derived.get("batch_size")
        count, before = s.subject.derived.get(PARTS[kind]), index - 3
        if each is not None:
            s.judge(index, index, fits(s.number(index), float(each)), f"{size or 'batch_size'} {each:,}")
        if count is not None and before >= 0 and s.codes[before] == Code.NUMBER and before not in s.used:
            s.judge(before, before, fits(s.number(before), float(count)), f"{PARTS[kind]} {count:,}")


def _numbers(s: Sentence) -> Iterator[int]:
    return (i for i, code in enumerate(s.codes) if code == Code.NUMBER and i not in s.used)
