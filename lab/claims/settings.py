"""Claims about settings that are no plain number: words, switches, seeds, names of one value, resumed or not."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import cache

from lab.claims.reading import Sentence
from lab.claims.subjects import NOBODY
from lab.claims.words import FUTURE, GENERAL, Code
from lab.judge import KnownRun
from lab.space import PARAMETERS

ON = {"true", "on", "yes", "enabled", "active"}
OFF = {"false", "off", "no", "not", "without", "disabled", "inactive", "none"}
CHOICES = {parameter.key: {str(choice) for choice in parameter.choices or ()} for parameter in PARAMETERS}
SPOKEN = {
    "rnn.enabled": r"lstm|rnn|recurren\w+",
    "train.anneal_lr": r"(?:lr|learning[ -]rate)[ -](?:anneal(?:ing|ed)?|schedule|decay)|anneal(?:ing|ed)?",
    "train.optimizer": r"opt",
    "train.torch_deterministic": r"determinis\w+",
}
"""What switches are called beside their keys."""
ASIDE = re.compile(r"[`*]* ?[(,;/] ?(?:in |the |vs |against )*")
"""What stands between a switch and the run whose own follows: `rnn on (baseline off)`."""
SOURCE = re.compile(r"[^,;.]{0,40}\b(?:of|from) |[^,;.]{0,3}")
"""What stands between a start and the run whose weights it took."""
SWITCHED = r"(?:is |was |are |stays |stayed |kept |switched |turned |set to |has been |still )*"
WAS = r"(?:(?P<was>\w+)[`*]*\s*(?:->|=>|→)\s*[`*]*)?"
"""The value that was so before: `rnn off → on`."""
FRESH = re.compile(
    r"\b(?:fresh start|starts? fresh|started fresh|from scratch|(?:random|fresh|new) (?:weights|init\w*)"
    r"|cold start(?:ed)?|trained from zero|no (?:warm[ -]?start|checkpoint|resume)|not (?:warm[ -]started|resumed)"
    r"|resume(?:d|_mode)? ?[:=] ?(?:no|none|false|fresh|off)(?: start)?)\b",
    re.IGNORECASE,
)
RESUMED = re.compile(
    r"\b(?:warm[ -]?start(?:ed|s)?|(?:resum(?:ed|es|ing)|continu(?:ed|es|ing)|picked up|went on) from(?! ~?\.?\d)"
    r"|(?:loaded|loading|from) (?:the |its |a )?(?:\w+ )?checkpoint"
    r"|resume(?:d|_mode)? ?[:=] ?(?:yes|true|continue|on))\b",
    re.IGNORECASE,
)


def options(s: Sentence) -> None:
    """Judge words and switches: `optimizer: adam`, `anneal_lr=false`, `the Muon optimizer`, `LSTM off`."""
    if s.section == "next_step":
        return
    said = s.text.lower()
    for key, value in s.subject.config.items():
        leaf = key.rpartition(".")[2] if key != "rnn.enabled" else "enabled"
        if isinstance(value, (bool, str)) and (leaf.split("_")[0] in said or key in SPOKEN):
            choices = () if isinstance(value, bool) else tuple({str(run.config.get(key)) for run in s.known.runs})
            for pattern in _patterns(key, choices):
                for match in pattern.finditer(s.text):
                    _option(s, key, value, match)


def cells(s: Sentence) -> None:
    """Find true a cell that says how a switch stands, which its row or column names: `on` under `anneal`."""
    word = s.text.strip(" *`").lower()
    for key, value in s.subject.config.items() if s.cells and word in ON | OFF and s.tokens else ():
        names = rf"(?:train\.)?{re.escape(key.rpartition('.')[2])}" + (f"|{SPOKEN[key]}" if key in SPOKEN else "")
        named = any(re.fullmatch(rf"\W*(?:{names})\W*", text, re.IGNORECASE) for text, _ in s.cells)
        if named and isinstance(value, bool) and (word in ON) == value:
            s.say(0, len(s.tokens) - 1, "verified", f"{key} {str(value).lower()} in {s.subject.run_id}")


def _option(s: Sentence, key: str, value: bool | str, said: re.Match[str]) -> None:
    inside = [i for i, token in enumerate(s.tokens) if token.start < said.end() and token.end > said.start("value")]
    if inside:
        s.look(inside[0])
        word = said["value"].lower()
        true = (word in ON) == value if isinstance(value, bool) else word == value.lower()
        s.judge(inside[0], inside[-1], true, f"{key} {str(value).lower()} in {s.subject.run_id}")
        for run, old, at in _sides(s, said):
            if (base := run.config.get(key)) is not None and (word := old.lower()):
                so = (word in ON) == base if isinstance(base, bool) else word == str(base).lower()
                known = word in ON | OFF if isinstance(base, bool) else True
                tokens = s.within(at, at + len(old))
                if known and tokens and not s.used & set(tokens):
                    s.judge(tokens[0], tokens[-1], so, f"{key} {str(base).lower()} in {run.run_id}")


def _sides(s: Sentence, said: re.Match[str]) -> Iterator[tuple[KnownRun, str, int]]:
    """How a switch stands elsewhere, with its place: before an arrow in the run compared with, beside a run's name."""
    if "was" in said.groupdict() and said["was"]:
        yield s.reference, said["was"], said.start("was")
    named = [i for i in s.within(said.end(), len(s.text)) if s.codes[i] == Code.RUN][:1]
    beside = ASIDE.fullmatch(s.text, said.end(), s.tokens[named[0]].start) if named else None
    if beside and (
        word := re.match(r"(?::| has| had|'s:?)? ?(\w+)(?=\W*(?:[,;)]|$))", s.text[s.tokens[named[0]].end :])
    ):
        yield s.run_of(s.tokens[named[0]]), word[1], s.tokens[named[0]].end + word.start(1)


@cache
def _patterns(key: str, choices: tuple[str, ...]) -> tuple[re.Pattern[str], ...]:
    """What a switch, or a choice between words, is said by."""
    leaf = key.rpartition(".")[2]
    names = [re.escape(key), *(["[ _-]".join(map(re.escape, leaf.split("_")))] if leaf != "enabled" else [])]
    name = rf"\b(?:{'|'.join([*names, *([SPOKEN[key]] if key in SPOKEN else [])])})\b"
    told: tuple[str, ...]
    if not choices:
        words = "|".join(sorted(ON | OFF))
        told = (
            rf"{name}[`*]*(?:\s*[:=]\s*|\s+{SWITCHED}|\s?\()[`*]*{WAS}(?P<value>{words})\b",
            rf"\b(?P<value>no|not|without) {name}",
        )
    else:
        every = sorted({*CHOICES.get(key, ()), *choices} - {"None", ""}, key=len, reverse=True)
        value = rf"(?P<value>{'|'.join(map(re.escape, every))})\b"
        told = (rf"{name}[`*]*(?:\s*[:=]\s*|\s)[`*]*{WAS}{value}", rf"\b{value}[`*]* {name}") if every else ()
    return tuple(re.compile(one, re.IGNORECASE) for one in told)


def makings(s: Sentence) -> None:
    """Find true what is said of how a run was made: with which optimizer, when (`17:36:04`), by which arm."""
    runs = {run.run_id: run for run in (s.home, s.known.run, *s.runs_named()) if run.metrics}.values()
    for run in runs if s.section != "next_step" else ():
        told = {str(run.config.get("train.optimizer") or "?"): "optimizer"}
        told |= {f"{at:{form}}": "time" for at in _moments(run) for form in ("%H:%M", "%H:%M:%S")}
        told |= {s.known.env_name or "?": "environment", s.known.objective: "objective"}
        told |= {run.arm: "arm"} if s.headed("arm") and run.arm else {}
        patterns = [(rf"(?<![\w:]){re.escape(said)}(?![\w:])", what) for said, what in told.items()]
        patterns.append((rf"\b{re.escape(run.arm or '?')} arm\b|\barm[ =:]+{re.escape(run.arm or '?')}\b", "arm"))
        for pattern, what in patterns:
            for said, first, last in s.phrases(re.compile(pattern, re.IGNORECASE)):
                s.say(first, last, "verified", f"the {what} of {run.run_id}: {said.group()}")


LONE = re.compile(
    r"\b(?:(?:a|one|only|the|just) )*(?:(?:single|lone) (?:seed|replicate)|one (?:seed|replicate))\b", re.IGNORECASE
)
AGAIN = re.compile(
    r"\b(?:more|fresh|new|further) seeds (?:of|for) $|\b(?:repeats?|repeated|reseeds?|rerun of) $", re.IGNORECASE
)
STATE = re.compile(
    r"\bstate ?[:=]? ?(?P<state>\w+)|\b(?P<ill>diverged|failed|interrupted|finished|confirmed|dropped)\b", re.IGNORECASE
)


def kinship(s: Sentence) -> None:
    """Find true whose child or repetition a run is: `its parent is #21`."""
    if s.section == "next_step":
        return
    for first, last in s.matches("run [:=word]{1,2} run"):
        s.subject = s.home
        if s.tokens[first].value == "parent" and s.run_of(s.tokens[first]) is s.run_of(s.tokens[last]) is not NOBODY:
            s.say(first, last, "verified", f"the parent is {s.run_of(s.tokens[last]).run_id}")
    for i, token in enumerate(s.tokens):
        if token.code == Code.SEED and any(token.value in run.seeds for run in (s.subject, s.home, *s.runs_named())):
            s.say(i, i, "verified", f"{token.value} is a seed")
        if token.code == Code.RUN and (
            s.headed("parents?")
            or re.match(r"parents?\W+#?\d", s.text[token.start : token.end], re.IGNORECASE)
            or re.search(r"\bchild of (?:the )?$", s.text[: token.start])
        ):
            told = s.run_of(token)
            if told.run_id == (s.known.run if s.cells else s.home).parent:
                s.say(i, i, "verified", f"the parent is {told.run_id}")
    for place in [i for i, code in enumerate(s.codes) if code == Code.RUN and i not in s.used]:
        origin, before = s.run_of(s.tokens[place]), s.text[: s.tokens[place].start]
        repeats = [run for run in (s.home, *s.runs_named()) if run.replicates_of == origin.run_id]
        if AGAIN.search(before) and repeats:
            s.say(place, place, "verified", f"it repeats {origin.run_id}")


def endings(s: Sentence) -> None:
    """Find true how a run ended and that it has one replicate."""
    if s.section == "next_step":
        return
    for _, first, last in s.phrases(LONE):
        if max((metric.n for metric in s.subject.metrics.values()), default=0) == 1:
            s.say(first, last, "verified", f"{s.subject.run_id} has one replicate")
    for said, first, last in s.phrases(STATE):
        state = (said["state"] or said["ill"]).lower()
        if state in {s.subject.state, s.subject.confirmed.outcome if s.subject.confirmed else ""}:
            s.say(first, last, "verified", f"{s.subject.run_id} {state}")


def _moments(run: KnownRun) -> Iterator[datetime]:
    """When a run was made, began and ended."""
    yield from (at for at in (run.created, run.started) if at)
    if run.started and "run seconds" in run.amounts:
        yield run.started + timedelta(seconds=run.amounts["run seconds"])


def starts(s: Sentence) -> None:
    """Judge whose weights a run began with: `a fresh start`, `resumed from the best checkpoint`."""
    if s.section == "next_step" or FUTURE.search(s.text) or GENERAL.search(s.text):
        return
    for pattern, resumed in ((FRESH, False), (RESUMED, True)):
        for said, first, last in s.phrases(pattern):
            place = s.about(first)
            if place is not None and SOURCE.fullmatch(s.text[said.end() : s.tokens[place].start]):
                s.subject = s.home  # `resumed from the best checkpoint of X`
            truth = _resumed(s.subject)
            told = "it went on from another's weights" if truth else "it began with fresh weights"
            false = False if s.named(first) else None
            s.judge(first, last, truth == resumed or false, told if truth is not None else "nothing says so")


def _resumed(run: KnownRun) -> bool | None:
    """Whether a run went on from another's weights; None where nothing says so."""
    if run.warm_start is not None:
        return True
    told = run.arm != "imported" or "autopilot.resume_mode" in run.config
    return run.config.get("autopilot.resume_mode") == "continue" if told else None
