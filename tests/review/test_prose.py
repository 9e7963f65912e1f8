"""Markdown from anywhere as HTML that can do nothing, with its claims where they stand."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.claims.checking import Checked, Claim
from review.prose import TAGS, html_of
from tests.review.payloads import PAYLOADS

PICTURES = {"learning_curves": "/runs/r/pictures/learning_curves.png"}


class Shown(HTMLParser):
    """What a browser would make of it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def harmless(text: str) -> None:
    for tag, attributes in Shown(text).tags:
        assert tag in TAGS | {"span"}, tag
        for name, value in attributes.items():
            assert name in {"href", "src", "alt", "class", "rel", "tabindex", "data-evidence"}, name
            if name == "href":
                assert re.match(r"https?://|/runs/", value or ""), value
            if name == "src":
                assert re.fullmatch(r"/runs/[\w.-]+/pictures/[a-z_]+\.png", value or ""), value


@pytest.mark.parametrize("payload", PAYLOADS)
def test_what_would_do_something_does_nothing(payload: str) -> None:
    harmless(html_of(payload, PICTURES))
    harmless(html_of(f"# Run\n\n## Observations\n\nperf {payload} rose.\n\n- {payload}\n", PICTURES))


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from([*PAYLOADS, "\n", "> ", "- ", "| a |\n|---|\n", "**", "`", "[", "](", "<", ">", '"', "'"]),
        max_size=8,
    )
)
def test_no_mixture_of_them_does(parts: list[str]) -> None:
    harmless(html_of("".join(parts), PICTURES))


def test_a_report_looks_as_it_is_meant() -> None:
    shown = html_of(
        "# Run\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n![Curves](plots/learning_curves.png)\n\n"
        "[report](../../r-2/report.md) `code` **bold**\n\n```sh\nautopilot train\n```\n",
        PICTURES,
    )
    for part in ("<h1>Run</h1>", "<td>2</td>", '<img src="/runs/r/pictures/learning_curves.png" alt="Curves">',
                 'href="/runs/r-2"', "<code>code</code>", "<strong>bold</strong>", "autopilot train"):  # fmt: skip
        assert part in shown, part
    assert "[picture: Curves]" in html_of("![Curves](https://x.example/a.png)")


def claim(text: str, quote: str, section: str = "observations", status: str = "verified", nth: int = 0) -> Claim:
    start = [found.start() for found in re.finditer(re.escape(quote), text)][nth]
    return Claim(
        section=section, quote=quote, start=start, end=start + len(quote), status=status, evidence=f"of {quote}"
    )  # type: ignore[arg-type]


def test_claims_are_marked_where_they_were_found() -> None:
    said = "- perf 0.5 after 0.5M steps, from 0.5 before.\n- It rose by 30 %, and `x` by 2."
    claims = (
        claim(said, "0.5", nth=2),
        claim(said, "30 %", status="contradicted"),
        claim(said, "2", status="unsupported"),
    )
    report = (
        "# Run r — perf 0.5\n\n## Observations\n\n"
        + said.replace("30 %", "30 % ✗").replace("by 2", "by 2 (?)")
        + "\n\n## Theory\n\n0.5 is not marked here.\n"
    )
    shown = html_of(report, checked=Checked(claims=claims))
    assert 'perf 0.5 after 0.5M steps, from <span class="claim verified"' in shown
    assert '<span class="claim contradicted" tabindex="0" data-evidence="contradicted: of 30 %">30 %</span> ✗' in shown
    assert 'data-evidence="unsupported: of 2">2</span> (?)' in shown
    assert shown.count("<span") == 3


def test_a_claim_that_cannot_be_found_or_breaks_markup_is_left_alone() -> None:
    lost = Claim(section="observations", quote="gone", start=0, end=4, status="verified", evidence="x")
    assert "<span" not in html_of("# Run\n\n## Observations\n\nnothing\n", checked=Checked(claims=(lost,)))
    said = "perf **0.5 rose** to 1"
    across = claim(said, "5 rose** to")
    shown = html_of(f"# Run\n\n## Observations\n\n{said}\n", checked=Checked(claims=(across,)))
    assert "<strong>0.5 rose</strong>" in shown
    assert "<span" not in shown


def test_evidence_is_escaped() -> None:
    said = "perf 0.5"
    evil = claim(said, "0.5").model_copy(update={"evidence": '"><img src=x onerror=alert(1)>'})
    shown = html_of(f"# Run\n\n## Observations\n\n{said}\n", checked=Checked(claims=(evil,)))
    assert "&quot;&gt;&lt;img" in shown
    harmless(shown)
