"""Claims about ranks: the best, the second, the lowest of the last five."""

import re

from lab.claims.reading import Sentence
from lab.claims.words import LOWER_IS_BETTER, ORDINALS, SMALLER, Code, Quantity, coded, whole


def ranks(s: Sentence) -> None:
    """Judge ranks: `the highest throughput of all runs`, `ranks second in perf`, `lowest of the last five`."""
    pattern = re.compile(
        r"(?:(?P<ord>second|third|fourth|fifth|sixth)[ -])?(?P<word>most (?:low|high)|best|highest|lowest|most|fewest"
        r"|longest|shortest|worst|largest|smallest|fastest|slowest)\b"
        r"(?P<rest>(?<=\(best)\)|[^,.;|()]*?\b(?:of|in|among|over|across) (?:all|the|these|our|this|set|lot)"
        r"(?: of)?(?: the)?(?: last)?\s?(?P<n>two|three|four|five|six|seven|eight|\d+)?\s?(?:finished )?"
        r"(?:runs?|history|session|night|record)?|[^,.;|]*?\bso far|[^,.;|]*?\bruns?\b|[^,.;|]*?\bever)?",
        re.IGNORECASE,
    )
    for match in pattern.finditer(s.text):
        if not match["ord"] and not match["rest"] and not re.search(r"\bnew $|\bis the $", s.text[: match.start()]):
            continue
        _rank(s, match.start(), match.end(), match["word"].lower(), match["ord"], match["n"])
    for match in re.finditer(
        r"rank(?:s|ed)? (?P<ord>first|second|third|fourth|fifth|last)(?: in \w+)?", s.text, re.IGNORECASE
    ):
        _rank(s, match.start(), match.end(), "best", match["ord"], None)
    for match in re.finditer(r"behind only the (?:incumbent|parent|baseline)", s.text, re.IGNORECASE):
        _rank(s, match.start(), match.end(), "best", "second", None)


def _rank(s: Sentence, start: int, end: int, word: str, ordinal: str | None, last: str | None) -> None:
    inside = [i for i, token in enumerate(s.tokens) if token.start >= start and token.end <= end]
    if not inside or any(i in s.used for i in inside if s.codes[i] not in coded("number run word")):
        return
    s.look(inside[0])
    quantity = next((s.tokens[i].value for i in inside if s.codes[i] == Code.QUANTITY), None)
    name = s.known.scored
    if quantity is None and word in ("longest", "shortest"):
        quantity = Quantity(("metric:episode_length",))
    near = s.quantity(inside[0])
    if quantity is None and near is not None and near.section in ("metric", "curve"):
        quantity = near
    quantity = quantity or Quantity((f"metric:{name}",))
    low = word in SMALLER or word == "most low"
    if word in ("best", "worst"):
        lower_better = bool(LOWER_IS_BETTER.search(quantity.keys[0])) or (
            quantity.keys[0] == f"metric:{name}" and s.known.goal.sign < 0
        )
        low = lower_better == (word == "best")
    runs = s.known.finished
    if last:
        count = whole(last) or 0
        runs = runs[-count:] if "last" in s.text[start:end].lower() else runs
    if "so far" in s.text[start:end].lower() and s.subject in runs:
        runs = runs[: runs.index(s.subject) + 1]  # as it was then
    aspects = s.aspects(inside[0]) or ({"last"} if quantity.section == "curve" else set[str]())
    metric = quantity.keys[0].partition(":")[2]
    runs = [run for run in runs if s.known.alike(metric, run, s.subject)]
    values = {run.run_id: value for run in runs if (value := s.one(quantity, run, aspects)) is not None}
    mine = values.get(s.subject.run_id)
    if mine is None or len(values) < 2:
        s.judge(inside[0], inside[-1], None, "nothing in the record to rank")
        return
    place = 1 + sum((value < mine) if low else (value > mine) for value in values.values())
    said = (ordinal or "first").lower()
    wanted = len(values) if said == "last" else ORDINALS[said]
    s.judge(inside[0], inside[-1], place == wanted, f"place {place} of {len(values)} by {quantity.keys[0]}")
