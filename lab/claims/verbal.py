"""Claims without a number: comparisons, verdicts, what was changed, ranks."""

import re

from lab.claims.reading import Sentence
from lab.claims.subjects import NOBODY
from lab.claims.words import FUTURE, LOWER_IS_BETTER, ORDINALS, SMALLER, Code, Quantity, coded, whole
from lab.judge import KnownRun

VERDICTS: dict[str, str] = {Code.BETTER: "better", Code.WORSE: "worse", Code.UNDECIDED: "inconclusive"}
ALL_ELSE = re.compile(
    r"(?:everything|all else|all(?= (?:is|are|was|were))|other things?|nothing)(?: else)?"
    r"(?: (?:is|was|were|stayed|are|thing is))* "
    r"(?:identical|the same|same|unchanged|equal|changed)",
    re.IGNORECASE,
)


BARE = {"up", "down", "more", "less", "cut", "extra", "higher", "lower", "longer", "deeper"}
"""Words that compare nothing by themselves."""


def comparisons(s: Sentence) -> None:
    """Judge comparisons without a number: `higher than its parent`, `fell below the incumbent's`."""
    if s.section == "next_step" and FUTURE.search(s.text):
        return
    for first, last in s.matches(
        "[up down] quantity word? run? word? [against than] word? run|[up down]{1,2} word{0,2} run"
        "|[up down] than? word? run|[up down] [word down]? than word{0,2} [run quantity aspect]"
        "|[up down](?=[,.; and]|$)|[up down] against run"
    ):
        if not s.free(first, last):
            continue
        quantity = s.quantity(first)
        if s.word(first) in {"slower", "faster"}:
            quantity = Quantity(("metric:sps",))
        named = next((s.run_of(s.tokens[i]) for i in range(last, first - 1, -1) if s.codes[i] == Code.RUN), None)
        reference = named or s.reference
        if quantity is None or quantity.section not in ("metric", "curve", "config") or reference is NOBODY:
            continue
        bare = Code.RUN not in s.codes[first : last + 1]
        if bare and s.word(first) in BARE and not re.search(r"\bit (?:is|was)\b", s.text.lower()):
            continue
        new, old = s.one(quantity, s.subject, s.aspects(first)), s.one(quantity, reference, s.aspects(first))
        if new is None or old is None:
            continue
        up = s.codes[last if s.codes[last] in coded("up down") else first] == Code.UP
        start = first
        if first > 0 and s.codes[first - 1] == Code.QUANTITY and bare:
            start = first - 1
        s.judge(start, last, (new > old) == up and new != old, f"{old:.6g} in {reference.run_id}, {new:.6g} now")


ALIKE = 0.02
"""By what share what is said to be the same may differ, as figures with two digits would not show."""


def sames(s: Sentence) -> None:
    """Judge claims that nothing has moved: `the same as before`, `unchanged`."""
    for first, last in s.matches("same (?:word{0,2} [than word]? run)?"):
        if not s.free(first, last) or re.match(coded("[word]? number"), s.codes[last + 1 :]):
            continue
        if Code.RUN not in s.codes[first : last + 1] and s.word(first) != "unchanged":
            continue
        if not s.labelled and not re.search(coded("quantity|number|run"), s.codes[:first]):
            continue  # `Same as #4 with another seed`: a config, of which the rest of the sentence says what is not
        quantity = s.quantity(first)
        new, old = s.one(quantity, s.subject, s.aspects(first)), s.one(quantity, s.reference, s.aspects(first))
        if new is None or old is None:
            continue
        apart = abs(new - old) / max(abs(old), abs(new), 1e-12)
        s.judge(first, last, apart <= ALIKE, f"{old:.6g} before, {new:.6g} now")


OUTCOME = re.compile(
    r"\bverdict (?:is|was|of|:) ?(?P<verdict>better|worse|inconclusive)\b"
    r"|\b(?P<better>(?:confirmed|real|genuine|true|proven|established|clear|solid) (?:improvement|gain|win))\b"
    r"|\b(?:is|was|became|becomes) (?:now )?the (?:new )?(?P<incumbent>incumbent)\b(?! (?:run|config)?'s)"
    r"|\b(?P<significant>statistically significant)\b(?! at)",
    re.IGNORECASE,
)
DENIED = re.compile(r"\b(?:not|no|never|cannot|hardly|without|neither|nor|if|whether|until|before|unless)\b|n't\b")


def outcomes(s: Sentence) -> None:
    """Judge outcomes, true only where a verdict says so: `a confirmed improvement`, `is the new incumbent`."""
    for match, first, last in s.phrases(OUTCOME):
        if DENIED.search(s.text[: match.start()].lower()[-60:]):
            continue
        runs = [i for i in range(first) if s.codes[i] == Code.RUN]
        own = [s.tokens[i] for i in runs if not s.refers(i)]
        s.subject = s.run_of(own[-1], s.known.run) if own else s.known.run
        against = {s.run_of(s.tokens[i]).run_id for i in runs if s.refers(i)}
        came = {one.verdict for name, one in s.subject.verdicts.items() if name in (against or {name})}
        told = f"verdict: {', '.join(sorted(came)) or 'none'}"
        if match["verdict"]:
            true = match["verdict"].lower() in came
        elif match["incumbent"]:
            told_by_seeds = s.subject.confirmed is not None and s.subject.confirmed.outcome == "confirmed"
            true = "better" in came or told_by_seeds or s.known.incumbent == s.subject.run_id
        else:
            true = bool(came & ({"better", "worse"} if match["significant"] else {"better"}))
        s.judge(first, last, true, told)


NONE = re.compile(
    r"\b(?:none|neither|nobody|nothing|no (?:\w+ )?(?:runs?|configs?|one|replicates?|seeds?))\b", re.IGNORECASE
)
"""What stands before a verdict of several runs: `none of them beats the baseline`."""


def verdicts(s: Sentence) -> None:
    """Judge verdicts: `better than the incumbent`, `a significant improvement`, `inconclusive`."""
    for first, last in s.matches("[better worse] word run [against than] word? run"):
        s.subject, other = s.run_of(s.tokens[first + 2]), s.tokens[last]
        if came := s.subject.verdicts.get(s.run_of(other).run_id):
            s.judge(first, last, came.verdict == VERDICTS[s.codes[first]], f"verdict: {came.verdict}")
    for first, last in [
        *s.matches("[better worse](?:[than against] [word]{0,2} run|word? run)"),
        *s.matches("run [word]{0,2} better|undecided|better|worse"),
    ]:
        if not s.free(first, last) or NONE.search(s.text[: s.tokens[first].start]):
            continue
        codes = s.codes[first : last + 1]
        code = next(c for c in codes if c in coded("better worse undecided"))
        firm = re.search(
            r"\b(significant(ly)?|clear(ly)?|solid|definite(ly)?)\s*$", s.text[: s.tokens[first].start].lower()
        )
        if Code.RUN not in codes and code != Code.UNDECIDED and not firm:
            continue
        reference = next((s.run_of(s.tokens[i]) for i in range(first, last + 1) if s.codes[i] == Code.RUN), None)
        if reference is s.subject:
            continue
        near = s.quantity(first)
        if near and near.section == "metric" and s.objective.keys[0] not in near.keys and Code.RUN in codes:
            _in_a_metric(s, first, last, code, near, reference or s.reference)
            continue
        known = s.subject.verdicts
        against = reference.run_id if reference else next(iter(known), None)
        if against and against in known:
            verdict = known[against].verdict
            s.judge(first - bool(firm), last, verdict == VERDICTS[code], f"verdict against {against}: {verdict}")


def _in_a_metric(s: Sentence, first: int, last: int, code: str, quantity: Quantity, reference: KnownRun) -> None:
    """Judge `slightly better than prior` of a metric that is not the objective: the mean decides."""
    new, old = s.one(quantity, s.subject, set()), s.one(quantity, reference, set())
    if new is None or old is None:
        return
    better = (new < old) if LOWER_IS_BETTER.search(quantity.keys[0]) else (new > old)
    s.judge(first, last, better == (code == Code.BETTER) and new != old, f"{quantity.keys[0]}: {old:.6g} to {new:.6g}")


def alterations(s: Sentence) -> None:
    """Judge what was changed: `no overrides`, `only the learning rate was changed`, `two keys were changed`."""
    proposals = s.known.proposals if s.section == "next_step" else ()
    changed = set(proposals[0].overrides) if proposals else set(s.subject.changed)
    compared = (*s.runs_named(), *filter(None, map(s.known.get, s.against)))
    told = f"changed: {', '.join(sorted(changed)) or 'nothing'}"
    against = [] if proposals else [_differing(s.subject, run) for run in compared if run is not s.subject]
    only: bool | None = None
    for first, last in s.matches(
        "only word{0,2} quantity (?:word{0,2} changed)?|changed only word? quantity"
        "|only word? changed word{0,2} quantity|only key word{0,2} quantity"
    ):
        quantity = next(s.tokens[i].value for i in range(first, last + 1) if s.codes[i] == Code.QUANTITY)
        if Code.CHANGED not in s.codes[max(0, first - 2) : last + 1] or quantity.section != "config":
            continue
        only = {key.partition(":")[2] for key in quantity.keys} >= changed and len(changed) == 1
        s.judge(first + (s.codes[first] == Code.CHANGED), last, only, told)
    for first, last in s.matches("not [word]{0,1} key|not [word]{0,2} changed"):
        if s.word(first) == "not":
            continue  # of what stands before it: `friction was not changed`
        s.judge(first, last, not changed, told)
    for first, last in s.matches(
        "[number ordinal]? only? number word? key (?:word{0,3} changed)?|changed only? number key"
    ):
        place = next(i for i in range(first, last + 1) if s.codes[i] == Code.NUMBER)
        number = s.number(place)
        if number.step != 1:
            continue
        counts = {len(changed), *map(len, against)}
        tried = {run.run_id for run in (*s.runs_named(), s.home)} | {s.subject.parent}
        sure = changed and tried.issuperset(s.around)
        s.judge(first, last, number.value in counts or (False if sure else None), told)
    for _, first, last in s.phrases(ALL_ELSE):
        named = s.spoken | {
            key.partition(":")[2] for token in s.tokens if token.code == Code.QUANTITY for key in token.value.keys
        }
        s.judge(first, last, only if only is not None else changed <= named, told)


def _differing(run: KnownRun, other: KnownRun) -> set[str]:
    """The keys that two runs' configs differ in."""
    keys = {*run.config, *other.config} - {"train.seed", "autopilot.seeds"}
    return {key for key in keys if run.config.get(key) != other.config.get(key)}


MOMENT = re.compile(
    r"\s*(?:first|second|last|final)?\s*(?:ep(?:och)?s?|steps?|updates?|half|quarter|min)\b", re.IGNORECASE
)
"""What follows a superlative that is of one run's moments, not of runs."""


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
        if MOMENT.match(s.text, match.end()):
            continue  # `highest in the first epoch`: among its own
        _rank(s, match.start(), match.end(), match["word"].lower(), match["ord"], match["n"])


def _rank(s: Sentence, start: int, end: int, word: str, ordinal: str | None, last: str | None) -> None:
    inside = [i for i, token in enumerate(s.tokens) if token.start >= start and token.end <= end]
    if any(i in s.used for i in inside if s.codes[i] not in coded("number run word")):
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
        lower_better = quantity.keys[0] == f"metric:{name}" and s.known.goal.sign < 0
        low = (lower_better or bool(LOWER_IS_BETTER.search(quantity.keys[0]))) == (word == "best")
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
    # `gamma 0.99 (lowest of the set)` is of the gamma, which is no metric; the objective is only what is left
    named = any(code == Code.QUANTITY and s.named_quantity(at) != quantity for at, code in enumerate(s.codes))
    named = named or s.carried not in (None, quantity)  # `lr 0.0001; the lowest of all runs`
    false = None if quantity.keys == (f"metric:{name}",) and (named or s.labelled) else False
    s.judge(inside[0], inside[-1], place == wanted or false, f"place {place} of {len(values)} by {quantity.keys[0]}")
