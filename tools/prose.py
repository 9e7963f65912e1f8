"""Whether a text is prose at all: a model that has lost its thread writes `1, 2, 3, 4, …`, a key, or one word for ever.

It is no judgement of what the text says. Where somebody writes in another alphabet, letters are enough.
"""

import re
from collections import Counter

from tools.context import ToolContext, ToolError

WORD = re.compile(r"[^\W\d_]{2,}")
FEW = 2
"""Different words that an observation, or a next step, has at least."""
SENTENCE = 4
"""Different words that a theory has at least."""
LONG = 12
"""Words from which on a text is looked at for repeating itself."""
SAME = 0.4
"""Share of one word in a long text that is too much."""
FRESH = 0.2
"""Share of different words in a long text that is too little."""
LETTERS = 0.4
"""Share of letters among what is no space, at least."""


def is_prose(text: str, words: int = FEW) -> bool:
    """Whether a text reads as words and not as numbers, a key, or the same thing over and over.

    Args:
        text: what a model wrote.
        words: different words that it has at least.
    """
    letters, marks = sum(char.isalpha() for char in text), len("".join(text.split()))
    if letters < LETTERS * marks:
        return False
    if sum(char.isalpha() and not char.isascii() for char in text) > letters / 2:
        return letters >= words
    spoken = [found.group().lower() for part in text.split() if (found := WORD.search(part))]  # a key is one word
    counted = Counter(spoken)
    if len(counted) < words:
        return False
    if len(spoken) < LONG:
        return True
    return max(counted.values()) <= SAME * len(spoken) and len(counted) >= FRESH * len(spoken)


def refuse_what_is_no_prose(ctx: ToolContext, told: dict[str, bool]) -> None:
    """Send back what says nothing in words; whoever insists on it is given up.

    Args:
        ctx: of the analysis.
        told: field to whether it is prose.

    Raises:
        ToolError: one of them is none.
    """
    empty = [field for field, fine in told.items() if not fine]
    if empty:
        ctx.babbled += 1
        raise ToolError(f"{', '.join(empty)}: is no sentence; say in words what you saw, why, and what next")
