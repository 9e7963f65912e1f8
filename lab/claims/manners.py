"""Words and manners by which a text leaves open which figure, of which run and of which moment, it speaks of."""

import re

from lab.claims.words import coded

UNLIKE = re.compile(
    r"\b(?:predicted|forecast|target|lifetime|worst|best|pooled|together|in all|total of|all|average of|both"
    r"|median|per seed|each seed|seeds? #?\d+|repeats?|reseeds?|curve|pts?|points?|@ ?\d)\b",
    re.IGNORECASE,
)
"""Words of a clause by which a figure is of something else than the run's mean."""
COLUMN = re.compile(r"\W*(?:value|mean|result|metric|key|setting|now|this run|run|)\W*", re.IGNORECASE)
"""A heading of a column, or of a row, that adds nothing to what the other says."""
PASSED = coded("=:(~[- aspect up down same from to by not better worse between run against than ratio")
"""Codes that may stand between a quantity and its number."""
VERBS = frozenset(("goes", "went", "going", "lie", "lies", "runs", "down", "up", "stays", "its", "apart", "lost"))
NOUNS = frozenset(("difference", "gap", "interval", "reading", "measured", "average"))
EVERY = re.compile(r"\b(?:pooled|means|every|each|all|repeats?|reseeds?)\b", re.IGNORECASE)
COUNTS = re.compile(coded("key|^[number and word not]* quantity.*[up down]"))
"""Codes of a count of changed keys, or of replicates above or below something."""
IMPLIED = re.compile(
    r"\bdifference (?:to|from|against) [^,.;\d]{0,40},? $|\bhalving to $"
    r"|\b(?:minibatch(?:es)?|epochs?|batch(?:es)?) of $",
    re.IGNORECASE,
)
"""What says by itself which quantity follows: the objective's difference, half of what was changed."""
AFTER = re.compile(
    r"[\s,(]{0,3}(?:seeds?\b|@|at (?:\d|step|ep(?:och)?s?\b|update)|after\b|by \d|half|around\b|early\b"
    r"|mid|in the first|when\b|until\b"
    r"|before\b|(?:for|on|in|over|of|from) (?:\w+ ){0,2}(?:seeds?|best|worst|all|both|\d)|(?:worst|best|peak|max)\b"
    r"|with (?:\d|half)|in [a-z]\b|twice\b|over (?:the|all)\b"
    r"|greedy|train|per\b|or\b|and (?:up|above|below|more|less|so)\b"
    r"|(?:is|was) (?:the|a|too|what|just|not)\b|would\b|(?:fell|dropped|rose|climbed|sank|went)\b"
    r"|seems?\b|looks?\b|->|=>|\u2192|\?|avg|mean|median|averaged?)",
    re.IGNORECASE,
)
"""What follows a figure that is of a part, of many, of a moment, or of no run at all."""
PLACED = re.compile(
    r"\b(?:an?|one|per|each|every|at|by|from|after|until|around|before|since|in) (?:the )?$", re.IGNORECASE
)
"""What stands before a noun of a moment, or of one of many: `at epoch 45`, `an epoch = 65,536`."""
_ABOUT = r"(?:(?:about|around|roughly|the|only|just|first|last|final) |~ ?)*"
_STEPS = (
    r"[\d.,]+ ?(?:[kM]|(?:agent |env )?steps|epochs?)\b(?! ?(?:agent |env )?(?:steps ?)?(?:per\b|/|a s))"  # no speed
)
MOMENT = re.compile(
    rf"\b(?:by|within|over|in) {_ABOUT}{_STEPS}"
    rf"|\b(?:at|after|around|from|until|till|past|before|near) {_ABOUT}"
    rf"(?:{_STEPS}|[\d.,]+ ?%(?! \w+er\b|-)|half[- ]?(?:way|time)|mid[- ]?\w+|(?:a |one )?(?:half|third|quarter)\b)",
    re.IGNORECASE,
)
"""A moment of a training, at which a figure or a comparison is not that of its end: `at 10 %`, `by 2M steps`."""
WHOLE = re.compile(r"epochs?|steps?|updates?|iterations?", re.IGNORECASE)
BETTER = re.compile(r"significan|confirm", re.IGNORECASE)
PARTED = re.compile(r" (?:minibatch(?:es)?|epochs?) of \d")
TIMED = re.compile(r"\b(?:was the|so far|yet|up to|at the time|when|then|until|first shots?)\b", re.IGNORECASE)
