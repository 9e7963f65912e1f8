"""A text as statements: what its headings make of them, which item or labelled cell each stands in.

Markdown is parsed by markdown-it-py; lines of plain notes, which Markdown would run together, stay lines. A heading is
told by what it means, not by one of four names: `Plan for tomorrow` begins a plan, `Scores` metrics.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from itertools import groupby, pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it import MarkdownIt


class Meaning(StrEnum):
    """What a part of a text is about."""

    TITLE = "title"
    CONFIG = "config"
    """The run's own settings: its subject is certain."""
    METRICS = "metrics"
    """The run's own figures: its subject is certain."""
    OBSERVATIONS = "observations"
    HISTORY = "history"
    """Other runs: who is meant is to be said."""
    THEORY = "theory"
    PLAN = "next_step"


HEADED: dict[Meaning, str] = {
    Meaning.PLAN: r"next|plans?|planned|planning|propos\w+|staged|to[ -]?do|upcoming|tomorrow|tonight|follow-?ups?"
    r"|ideas?|^do(?: next)?$|roadmap|future|actions?|recommend\w+|suggest\w+|intend\w*|queued?|try",
    Meaning.HISTORY: r"previous|earlier|past|history|trends?|tried|others?|lineage|leaderboard|across",
    Meaning.CONFIG: r"config\w*|set-?up|settings?|hyper-?param\w*|params|parameters|topology|overrides?|changes?"
    r"|changed|deltas?|device|recipe",
    Meaning.METRICS: r"metrics?|results?|scores?|numbers|figures|outcomes?|eval\w*|measure\w*|performance|summary",
    Meaning.THEORY: r"theor\w+|analysis|hypothes[ie]s|interpret\w+|rationale|discussion|why|reason\w*|explanation"
    r"|thoughts?|diagnosis|conclusions?|lessons?|takeaways?",
    Meaning.OBSERVATIONS: r"observ\w+|notes?|findings?|happened|comparisons?|remarks?|details|background|context|log"
    r"|repro\w*|caveats?",
}
"""The words by which a heading is told, the first kind that has one counts."""
_MEANT = {meaning: re.compile(rf"\b(?:{words})\b", re.IGNORECASE) for meaning, words in HEADED.items()}
BESIDE = re.compile(
    r"(?:[a-z]|for|of|the|and|key|main|this|that|run|runs|steps?|what|i|would|d|to|my|our|vs|parent|derived|in|on|from|night"
    r"|session|full|training|batch|a|new|current|is|are|it|we|do|more|model|last|recent|final|things|experiments?|up"
    r"|attempts?|at|with|against|how|went|not|yet|now|config)",
    re.IGNORECASE,
)
"""Words that may stand in a heading beside those: anything else makes a sentence of it."""
BARE = "bare table"
"""Lines of cells with bars between, without the rule below a head that Markdown asks for: notes have them so."""
FENCE = re.compile(r"\s*(?:```|~~~)")
BULLET = re.compile(r"\s*(?:[-*+•\u2013]|\d{1,2}[.)])\s+")
LABEL = re.compile(r"\W*(?P<label>[A-Za-z][A-Za-z' /-]{1,40}?)\s*(?:\([^()\n]*\))?\**\s*(?::|\u2014| - )\**\s*(?=\S)")


Places = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Passage:
    """A stretch of a text that belongs together: an item, a paragraph's line or lines, a cell."""

    start: int
    """Place in the text, in characters."""
    end: int
    meaning: Meaning
    above: Places = ()
    """Places of the headings and items that it stands under, outermost first."""
    labels: Places = ()
    """Places of the row's and the column's names, for a table's cell."""
    item: bool = False


def heading(line: str) -> Meaning | None:
    """What a line announces, where it is a heading: one by its marks, or a few words that say what comes."""
    marked = re.fullmatch(r"\s*(?:#{1,6}\s+(?P<hash>.+?)|\*\*(?P<bold>[^*]+)\*\*:?|__(?P<score>[^_]+)__:?)\s*", line)
    words = (marked["hash"] or marked["bold"] or marked["score"]) if marked else line
    bare = re.sub(r"\([^()]*\)", " ", words).strip().removesuffix(":").strip()
    if not bare or len(bare) > 60 or re.search(r"[.!?;,:=→]|\d", bare) or BULLET.match(line):
        return None
    meaning = next((meaning for meaning, pattern in _MEANT.items() if pattern.search(bare)), None)
    if meaning is None:
        return None
    known = all(
        BESIDE.fullmatch(word) or any(pattern.fullmatch(word) for pattern in _MEANT.values())
        for word in re.findall(r"[A-Za-z][A-Za-z-]*", bare)
    )
    return meaning if marked or known else None


def labelled(line: str) -> Meaning | None:
    """What a line's own label says of it: `Next: lower the rate` looks forward."""
    label = LABEL.match(line)
    return heading(label["label"]) if label else None


def passages(text: str, meaning: Meaning) -> Iterator[Passage]:
    """The statements of a text, in order.

    Args:
        text: of one section, Markdown or plain.
        meaning: what it is about until a heading in it says otherwise.
    """
    text = re.sub(r"[^\S\n\t]|\x00", " ", text)  # what Markdown would take for another line, or leave out
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    lines = [text[start:end].rstrip("\n") for start, end in pairwise([*starts, len(text)])]
    source = "\n".join(re.sub(r"^(\s*)[•\u2013](?=\s)", r"\1-", line) for line in lines)
    above: list[tuple[int, tuple[int, int]]] = []
    for kind, first, last, level in _tabled(lines, _blocks(source)):
        table = kind in ("table", BARE)
        while above and above[-1][0] >= level + table:  # a table stands under the line that announces it
            above.pop()
        if table:
            under = tuple(place for _, place in above)
            yield from _cells(lines, starts, first, last, meaning, under, bare=kind == BARE)
            continue
        for begin, end, number in _statements(lines, starts, first, last):
            if new := heading(lines[number]):
                meaning, above = new, [(-1, (begin, end))]
                continue
            if kind == "heading":
                meaning, above = Meaning.OBSERVATIONS if meaning is not Meaning.TITLE else meaning, [(-1, (begin, end))]
            under = tuple(place for _, place in above)
            yield Passage(begin, end, labelled(text[begin:end]) or meaning, under, item=level > 0)
            if meaning is Meaning.TITLE and text[end:].strip():
                meaning = Meaning.OBSERVATIONS  # what follows a note's first line is no part of its title
            if level > 0 or text[begin:end].rstrip().endswith(":"):
                above.append((level, (begin, end)))


@cache
def _markdown() -> "MarkdownIt":
    from markdown_it import MarkdownIt

    # Indented lines of notes are no code, and dashes below a line make no heading of it.
    return MarkdownIt("commonmark", {"html": False}).disable(["code", "lheading", "html_block"]).enable("table")


def _blocks(source: str) -> Iterator[tuple[str, int, int, int]]:
    """Kind, first line, line behind the last, and depth of each block that has words."""
    depth, table = 0, False
    for token in _markdown().parse(source):
        if token.type == "list_item_open":
            depth += 1
        elif token.type == "list_item_close":
            depth -= 1
        elif token.type == "table_open" and token.map:
            table = True
            yield "table", token.map[0], token.map[1], depth
        elif token.type == "table_close":
            table = False
        elif token.type == "inline" and token.map and not table:
            kind = "heading" if source.split("\n", token.map[0] + 1)[token.map[0]].lstrip().startswith("#") else "text"
            yield kind, token.map[0], token.map[1], depth


def _tabled(lines: list[str], blocks: Iterable[tuple[str, int, int, int]]) -> Iterator[tuple[str, int, int, int]]:
    """The blocks, where lines in a row that have as many bars as each other are a table of its own."""
    for kind, first, last, level in blocks:
        begun = first
        if kind == "text":
            for bars, group in groupby(range(first, last), key=lambda number: len(_split(lines[number], 0)) - 1):
                numbers = [*group]
                if len(numbers) >= (3 if bars == 1 else 2) and bars:
                    if begun < numbers[0]:
                        yield kind, begun, numbers[0], level
                    begun = numbers[-1] + 1
                    yield BARE, numbers[0], begun, level
        if begun < last:
            yield kind, begun, last, level


def _statements(lines: list[str], starts: list[int], first: int, last: int) -> Iterator[tuple[int, int, int]]:
    """Start, end and first line of what a block's lines say: a line each, or several where one runs on."""
    begun, width = None, max(len(line.rstrip()) for line in lines[first:last])
    for number in range(first, last):
        if begun is None:
            begun = number
        line, after = lines[number], lines[number + 1] if number + 1 < last else ""
        runs_on = re.match(r"\s*[a-z]", after) and not re.search(r"[.:!?;]\s*$", line) and not heading(line)
        full = len(line.rstrip()) + 1 + len(re.split(r"\s", after.strip(), maxsplit=1)[0]) > width  # no more went in
        if not (runs_on and full) or re.match(r"\s*[\w.]+\s*[=:]", after):
            marker = re.match(r"\s*\d{1,2}[.)]\s+", lines[begun])
            yield starts[begun] + (marker.end() if marker else 0), starts[number] + len(line), begun
            begun = None


def _cells(
    lines: list[str], starts: list[int], first: int, last: int, meaning: Meaning, above: Places, *, bare: bool
) -> Iterator[Passage]:
    """The cells of a table, each with the names of its row and its column; a bare one may have no head."""
    rows = [_split(lines[number], starts[number]) for number in range(first, last)]
    text = dict(zip(starts[first:last], lines[first:last], strict=True))
    headless = bare and re.search(r"\d", lines[first])
    head, body = ([], rows) if headless else (rows[0], rows[1 if bare else 2 :])
    for row in body:
        begun = max((start for start in text if start <= row[0][0]), default=0)
        named = [(a, b) for a, b in row if re.fullmatch(r"\W*#\d+\W*", text[begun][a - begun : b - begun])]
        placed = not re.search("[A-Za-z]", text[begun][row[0][0] - begun : row[0][1] - begun])
        label = named[0] if len(named) == 1 and placed else row[0]  # `| 2 | #20 | 0.567 |`: the run, not its place
        for column, (start, end) in enumerate(row):
            names = [*([label] if (start, end) != label else []), *([head[column]] if column < len(head) else [])]
            yield Passage(start, end, meaning, above, labels=tuple(names))


def _split(line: str, begun: int) -> list[tuple[int, int]]:
    """Places of the cells of a table's row."""
    outer = line.strip().strip("|")
    inner = line.index(outer) if outer else 0
    return [(begun + inner + m.start(), begun + inner + m.end()) for m in re.finditer(r"(?:\\\||[^|])+", outer)]
