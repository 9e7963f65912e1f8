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

from lab.base import is_id, plain
from lab.claims import SIGNS, Checked, Claim

LONGEST = 400_000
"""Characters of a text that is rendered."""
BLOCKS = {"h1", "h2", "h3", "h4", "p", "ul", "ol", "li", "pre", "blockquote", "hr", "br"}
TABLES = {"table", "thead", "tbody", "tr", "th", "td"}
TAGS = BLOCKS | TABLES | {"strong", "em", "code", "del", "a", "img"}
ATTRIBUTES = {"a": {"href"}, "img": {"src", "alt"}, "code": {"class"}}
REACHED = {tag: {"tabindex": "0"} for tag in ("table", "pre")}
"""What may be wider than the page scrolls by itself, by keyboard too."""
PICTURE = re.compile(r"plots/([a-z_]{1,40})\.(?:png|webp)")
OTHER_RUN = re.compile(r"\.\./\.\./([^/]+)/report\.md")
HEADINGS = {"observations": "## Observations", "theory": "## Theory", "next_step": "## Next step"}
NONE: Mapping[str, str] = MappingProxyType({})
NEAR = 60
"""Characters by which a claim may stand elsewhere than the one before it says."""
OPEN, MIDDLE, CLOSE = "\ue000", "\ue001", "\ue002"
_MARKED = re.compile(f"{OPEN}(\\d+){MIDDLE}(.*?){CLOSE}", re.DOTALL)
_PRIVATE = re.compile("[\ue000-\uf8ff]")


def html_of(text: str, pictures: Mapping[str, str] = NONE, checked: Checked | None = None) -> str:
    """A text as HTML that can do nothing.

    Args:
        text: Markdown, from anywhere.
        pictures: name of each of its `plots/NAME.png` or `.webp` that is there, to where it is served.
        checked: claims to be marked where they stand, with their evidence; None for none.
    """
    text = _PRIVATE.sub("", plain(text, LONGEST))
    claims = list(checked.claims) if checked else []
    source = _with_marks(text, claims) if claims else text
    rendered = _markdown().render(source, {"pictures": pictures})
    clean = nh3.clean(
        rendered,
        tags=TAGS,
        attributes=ATTRIBUTES,
        attribute_filter=_filtered,
        generic_attribute_prefixes=set(),
        url_schemes={"http", "https"},
        link_rel="noopener noreferrer",
        set_tag_attribute_values=REACHED,
    )
    return _MARKED.sub(lambda match: _claim(claims, match), clean) if claims else clean


def missing(text: str, checked: Checked) -> int:
    """The number of claims that are no longer where they were checked: the text was changed since."""
    return len(checked.claims) - len(_all_places(_PRIVATE.sub("", plain(text, LONGEST)), list(checked.claims)))


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
    match = PICTURE.fullmatch(str(token.attrs.get("src", "")))
    if match is None or match[1] not in env["pictures"]:
        return f"<em>[picture: {escape(alt)}]</em>"
    return f'<img src="{escape(env["pictures"][match[1]])}" alt="{escape(alt)}">'


def _link(self: Any, tokens: Sequence[Any], at: int, options: Any, env: Mapping[str, Any]) -> str:
    token = tokens[at]
    match = OTHER_RUN.fullmatch(str(token.attrs.get("href", "")))
    if match is not None and is_id(match[1]):
        token.attrs["href"] = f"/runs/{match[1]}"
    return str(self.renderToken(tokens, at, options, env))


def _filtered(tag: str, attribute: str, value: str) -> str | None:
    """An attribute's value where it is ours or harmless: own pictures and pages, and links that open as pages."""
    if tag == "img" and attribute == "src":
        return value if re.fullmatch(r"/(?:runs|sessions)/[\w.-]+/pictures/[a-z_]+\.(?:png|webp)", value) else None
    if tag == "a" and attribute == "href":
        return value if re.match(r"https?://|/runs/[\w.-]+$", value) else None
    if tag == "code" and attribute == "class":
        return value if re.fullmatch(r"language-[\w-]{1,20}", value) else None
    return value


# --- claims ---------------------------------------------------------------------------------------------------------


def _with_marks(text: str, claims: list[Claim]) -> str:
    """The report with invisible signs around its claims, which survive rendering."""
    made, done = list[str](), 0
    for start, end, number in _all_places(text, claims):
        if start >= done:  # not within another one
            made += [text[done:start], OPEN, str(number), MIDDLE, text[start:end], CLOSE]
            done = end
    return "".join([*made, text[done:]])


def _all_places(text: str, claims: list[Claim]) -> list[tuple[int, int, int]]:
    """Start, end and number of each claim that can be found in a report, in order."""
    places: list[tuple[int, int, int]] = []
    for section in dict.fromkeys(claim.section for claim in claims):
        mine = [(number, claim) for number, claim in enumerate(claims) if claim.section == section]
        places += _places(text, *_span(text, section), mine)
    return sorted(places)


def _span(text: str, section: str) -> tuple[int, int]:
    """The place of a section in a report."""
    if section == "title":
        return 0, text.find("\n") if "\n" in text else len(text)
    heading = re.search(rf"^{re.escape(HEADINGS.get(section, section))}\b.*$", text, re.MULTILINE)
    if heading is None:
        return 0, 0
    start = heading.end()
    end = text.find("\n## ", start)
    return start, end if end >= 0 else len(text)


def _places(text: str, start: int, end: int, claims: list[tuple[int, Claim]]) -> list[tuple[int, int, int]]:
    """Start, end and number of each claim that can be found again.

    A claim knows its place in the section as it was checked. In the report there are signs behind claims, the program's
    own lines before and between, other blank lines. So the signs are taken out, and each claim is looked for near where
    the one before it would have it: how far the text has shifted changes little from claim to claim.
    """
    body = text[start:end]
    gone = {at for mark in SIGNS.finditer(body) for at in range(*mark.span())}
    kept = [at for at in range(len(body)) if at not in gone]
    bare = "".join(body[at] for at in kept)
    ordered = sorted((one for one in claims if one[1].quote), key=lambda one: (one[1].start, one[1].end))
    if not ordered:
        return []
    first, places = ordered[0][1], list[tuple[int, int, int]]()

    def fits(shift: int) -> int:
        return sum(bare[c.start + shift : c.end + shift] == c.quote for _, c in ordered)

    begins = [place.start() - first.start for place in re.finditer(re.escape(first.quote), bare)][:200]
    shift = max((one for one in begins if one >= -first.start), key=fits, default=0)
    for number, c in ordered:
        wanted = c.start + shift
        near = range(max(0, wanted - NEAR), wanted + NEAR + 1)
        at = min((a for a in near if bare.startswith(c.quote, a)), key=lambda a: abs(a - wanted), default=None)
        if at is not None:
            shift = at - c.start
            places.append((start + kept[at], start + kept[at + len(c.quote) - 1] + 1, number))
    return places


def _claim(claims: list[Claim], match: re.Match[str]) -> str:
    number, inner = int(match[1]), match[2]
    if number >= len(claims) or "<" in inner or OPEN in inner:
        return inner
    claim = claims[number]
    evidence = "; ".join(dict.fromkeys(claim.evidence.split("; ")))
    said = escape(f"{claim.status}: {plain(evidence, 500)}", quote=True)
    return f'<span class="claim {claim.status}" tabindex="0" data-evidence="{said}">{inner}</span>'
