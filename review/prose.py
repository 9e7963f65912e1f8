"""Markdown that a model or an imported folder may have written, as HTML that can be shown.

Rendered by markdown-it with HTML switched off, then cleaned by nh3: what is not on the list below is gone, whatever the
text tried. Pictures are those of the run's own folder, by name; all others become words.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from html import escape
from types import MappingProxyType
from typing import Any

import nh3
from markdown_it import MarkdownIt

from lab.claims.checking import Checked, Claim
from lab.claims.reports import MARKS
from lab.paths import is_id
from lab.text import plain

LONGEST = 400_000
"""Characters of a text that is rendered."""
TAGS = {"h1", "h2", "h3", "h4", "p", "ul", "ol", "li", "strong", "em", "code", "pre", "blockquote", "hr", "br", "a",
        "table", "thead", "tbody", "tr", "th", "td", "img", "del"}  # fmt: skip
ATTRIBUTES = {"a": {"href"}, "img": {"src", "alt"}, "code": {"class"}}
PICTURE = re.compile(r"plots/([a-z_]{1,40})\.png")
OTHER_RUN = re.compile(r"\.\./\.\./([^/]+)/report\.md")
HEADINGS = {"observations": "## Observations", "theory": "## Theory", "next_step": "## Next step"}
NONE: Mapping[str, str] = MappingProxyType({})
OPEN, MIDDLE, CLOSE = "\ue000", "\ue001", "\ue002"
_MARKED = re.compile(f"{OPEN}(\\d+){MIDDLE}(.*?){CLOSE}", re.DOTALL)
_PRIVATE = re.compile("[\ue000-\uf8ff]")


def html_of(text: str, pictures: Mapping[str, str] = NONE, checked: Checked | None = None) -> str:
    """A text as HTML that can do nothing.

    Args:
        text: Markdown, from anywhere.
        pictures: name of each of its `plots/NAME.png` that is there, to where it is served.
        checked: claims to be marked where they stand, with their evidence; None for none.
    """
    text = _PRIVATE.sub("", plain(text, LONGEST))
    claims = list(checked.claims) if checked else []
    source = _with_marks(text, claims) if claims else text
    rendered = _markdown().render(source, {"pictures": pictures})
    clean = nh3.clean(
        rendered, tags=TAGS, attributes=ATTRIBUTES, url_schemes={"http", "https"}, link_rel="noopener noreferrer",
        attribute_filter=_filtered, generic_attribute_prefixes=set(),
    )  # fmt: skip
    return _MARKED.sub(lambda found: _claim(claims, found), clean) if claims else clean


# --- Markdown -------------------------------------------------------------------------------------------------------


@cache
def _markdown() -> MarkdownIt:
    made = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    made.add_render_rule("image", _image)
    made.add_render_rule("link_open", _link)
    return made


def _image(self: Any, tokens: Sequence[Any], at: int, options: Any, env: Mapping[str, Any]) -> str:
    token = tokens[at]
    alt = self.renderInlineAsText(token.children or [], options, env)
    found = PICTURE.fullmatch(str(token.attrs.get("src", "")))
    if found is None or found[1] not in env["pictures"]:
        return f"<em>[picture: {escape(alt)}]</em>"
    return f'<img src="{escape(env["pictures"][found[1]])}" alt="{escape(alt)}">'


def _link(self: Any, tokens: Sequence[Any], at: int, options: Any, env: Mapping[str, Any]) -> str:
    token = tokens[at]
    found = OTHER_RUN.fullmatch(str(token.attrs.get("href", "")))
    if found is not None and is_id(found[1]):
        token.attrs["href"] = f"/runs/{found[1]}"
    return str(self.renderToken(tokens, at, options, env))


def _filtered(tag: str, attribute: str, value: str) -> str | None:
    """Only our own pictures and pages, and links that a browser opens as pages."""
    if tag == "img" and attribute == "src":
        return value if re.fullmatch(r"/(?:runs|sessions)/[\w.-]+/pictures/[a-z_]+\.png", value) else None
    if tag == "a" and attribute == "href":
        return value if re.match(r"https?://|/runs/[\w.-]+$", value) else None
    if tag == "code" and attribute == "class":
        return value if re.fullmatch(r"language-[\w-]{1,20}", value) else None
    return value


# --- claims ---------------------------------------------------------------------------------------------------------


def _with_marks(text: str, claims: list[Claim]) -> str:
    """The report with invisible signs around its claims, which survive rendering."""
    places: list[tuple[int, int, int]] = []
    for section in dict.fromkeys(claim.section for claim in claims):
        mine = [(number, claim) for number, claim in enumerate(claims) if claim.section == section]
        places += _places(text, *_span(text, section), mine)
    places.sort()
    made, done = [], 0
    for start, end, number in places:
        if start >= done:  # not within another one
            made += [text[done:start], OPEN, str(number), MIDDLE, text[start:end], CLOSE]
            done = end
    return "".join([*made, text[done:]])


def _span(text: str, section: str) -> tuple[int, int]:
    """Where a section stands in a report."""
    if section == "title":
        return 0, text.find("\n") if "\n" in text else len(text)
    at = text.find(f"\n{HEADINGS.get(section, section)}\n")
    start = text.find("\n", at + 1) if at >= 0 else -1
    if start < 0:
        return 0, 0
    end = text.find("\n## ", start)
    return start, end if end >= 0 else len(text)


def _places(text: str, start: int, end: int, claims: list[tuple[int, Claim]]) -> list[tuple[int, int, int]]:
    """Start, end and number of each claim that can be found again.

    A claim knows its place in the section as it was checked: without the signs that the report has behind claims, and
    without what the report says before. So the signs are taken out, and the shift is looked for at which
    most claims fit.
    """
    body = text[start:end]
    gone = {at for found in MARKS.finditer(body) for at in range(*found.span())}
    kept = [at for at in range(len(body)) if at not in gone]
    bare = "".join(body[at] for at in kept)

    def fits(shift: int) -> int:
        return sum(bare[c.start + shift : c.end + shift] == c.quote for _, c in claims)

    first = claims[0][1]
    shifts = [found.start() - first.start for found in re.finditer(re.escape(first.quote), bare)][:200]
    shift = max((one for one in shifts if one >= 0), key=fits, default=None)
    if shift is None:
        return []
    return [
        (start + kept[c.start + shift], start + kept[c.end + shift - 1] + 1, number)
        for number, c in claims
        if c.quote and bare[c.start + shift : c.end + shift] == c.quote
    ]


def _claim(claims: list[Claim], found: re.Match[str]) -> str:
    number, inner = int(found[1]), found[2]
    if number >= len(claims) or "<" in inner or OPEN in inner:
        return inner
    claim = claims[number]
    said = escape(f"{claim.status}: {plain(claim.evidence, 500)}", quote=True)
    return f'<span class="claim {claim.status}" tabindex="0" data-evidence="{said}">{inner}</span>'
