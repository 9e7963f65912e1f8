"""The page in a real browser: while a real session runs, by keyboard alone, on a phone, and with a hostile report."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from agent.analysis.analyst import Analyst
from lab.base.files import read_model, write_model
from lab.base.paths import Workspace
from lab.store.notebook import Notebook
from lab.store.proposal import ProposalState as S
from lab.store.proposals import Proposals
from lab.store.records import RunState
from lab.store.session import Budgets
from tests.agent.conftest import Make, make_session
from tests.conftest import ENV
from tests.review.conftest import Site
from tests.review.payloads import PAYLOADS

__all__ = ["Analyst", "make_session"]

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine (Debian: apt install chromium)"),
]
# The network is not there: what a browser asks of it by itself is switched off.
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
WAIT = 90_000
"""Milliseconds for what a session has to do first."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield found
        found.close()


def until(page: Any, what: Callable[[], Any]) -> None:
    """Wait for something that is not on the page."""
    for _ in range(WAIT // 100):
        if what():
            return
        page.wait_for_timeout(100)
    pytest.fail("it did not come about")


class Watched:
    """A tab that remembers what went wrong in it."""

    def __init__(self, browser: Any, site: Site, **more: Any) -> None:
        self.context = browser.new_context(base_url=site.url, **more)
        self.page = self.context.new_page()
        self.wrong: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.wrong.append(message.text) if message.type == "error" else None)
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("response", lambda r: self.wrong.append(f"{r.status} {r.url}") if r.status >= 400 else None)
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("dialog", lambda dialog: self.wrong.append(f"dialog {dialog.message}"))


@pytest.fixture
def tab(browser: Any, site: Site) -> Iterator[Watched]:
    """A tab in which nothing may go wrong and that may ask nobody else."""
    watched = Watched(browser, site)
    yield watched
    watched.context.close()
    assert watched.wrong == []
    assert {url for url in watched.asked if not url.startswith(site.url)} == set()


@pytest.fixture
def night(workspace: Workspace) -> Iterator[subprocess.Popen[str]]:
    """A session that trains for real and leaves every decision to a person."""
    command = [
        str(Path(sys.executable).with_name("autopilot")), "--workspace", str(workspace.root), "start", "--env", ENV,
        "--model", "offline", "--approve", "manual", "--max-runs", "6", "--seeds", "2", "--confirm", "none",
        "--set", "train.total_timesteps=200000", "--set", "autopilot.eval_steps=200",
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True,
                          env={**os.environ}) as process:  # fmt: skip
        yield process
        process.terminate()


def act(page: Any, how: str) -> None:
    if how == "edit":
        page.get_by_text("Edit", exact=True).click()
        given, checked = page.get_by_label("train.ent_coef", exact=True), page.locator("#checked")
        given.fill("2345")
        checked.get_by_text("train.ent_coef = 2345: must be from 0 to 1").wait_for()
        given.fill("0.0234")
        checked.get_by_text("Valid:").wait_for()
        page.get_by_role("button", name="Stage and approve it").click()
    elif how == "reject":
        page.get_by_label("Why not").fill("not tonight")
        page.get_by_role("button", name="Reject").click()
    else:
        page.get_by_role("button", name="Approve").first.click()


def test_a_night_is_watched_and_decided_on(
    tab: Watched, night: subprocess.Popen[str], workspace: Workspace, proposals: Proposals
) -> None:
    page = tab.page
    notebook = Notebook(workspace)
    while not (workspace.sessions.is_dir() and any(workspace.sessions.glob("*/session.json"))):
        assert night.poll() is None
        page.wait_for_timeout(100)
    page.goto("/")
    page.get_by_text("Running", exact=True).wait_for(timeout=WAIT)
    # It moves: the baseline's progress, then a proposal, without the page being loaded again.
    page.evaluate("window.stayed = true")
    page.get_by_role("region", name="Training now").wait_for(timeout=WAIT)
    waits = page.get_by_role("region", name="Waits for your decision").get_by_role("link")
    waits.first.wait_for(timeout=WAIT)
    page.locator(".chart canvas").wait_for(timeout=WAIT)
    assert page.evaluate("window.stayed")

    def decide(how: str) -> str:
        """What a person does with what waits; its id."""
        while True:  # a newer proposal may take the place of the one that is looked at
            page.goto("/proposals")
            page.get_by_role("article").first.get_by_role("link").click(timeout=WAIT)
            page.wait_for_url("**/proposals/2*")
            name = page.url.rpartition("/")[2]
            if not page.get_by_role("button", name="Reject").is_visible():
                continue
            act(page, how)
            page.get_by_text(re.compile("by person .*, web|Not done")).first.wait_for()
            if not page.get_by_role("alert").is_visible():
                return name

    rejected = decide("reject")
    page.get_by_role("heading", name="What it allows").wait_for()  # a sweep; who turns it down is asked one by one
    until(page, lambda: (new := proposals.staged(notebook.runs()[0].group)) is not None and new.proposal_id != rejected)
    assert not any(run.proposal == rejected for run in notebook.runs())
    approved = decide("approve")
    until(page, lambda: proposals.get(approved).state is S.DONE)
    (trained,) = [run.run_id for run in notebook.runs() if run.proposal == approved and run.state is RunState.FINISHED]
    # What its analysis proposes takes the place of what was proposed while it trained.
    until(page, lambda: (new := proposals.staged(notebook.runs()[0].group)) is not None and new.analysed == trained)
    edited = decide("edit")
    assert proposals.get(edited).state is S.SUPERSEDED

    def trained_as_edited() -> list[str]:
        return [run.run_id for run in notebook.runs()
                if notebook.overrides(run.run_id).get("train.ent_coef") == 0.0234 and run.state.ended]  # fmt: skip

    until(page, lambda: bool(trained_as_edited()))
    page.goto("/")
    # By its id: of a config with twenty changed keys a row names the few that matter most.
    page.locator(f'#latest a[href="/runs/{trained_as_edited()[0]}"]').click()
    changed = page.locator("#config tr.diff").filter(has_text="train.ent_coef")
    changed.filter(has_text="0.0234").first.wait_for()


def hostile(notebook: Notebook, run_id: str) -> None:
    """A report and record that a model, or whoever made an imported folder, has filled with the worst."""
    text = "# Run\n\n## Observations\n\n" + "\n\n".join(f"perf 0.5 {payload}" for payload in PAYLOADS)
    notebook.paths(run_id).report.write_text(text)


def test_a_hostile_report_executes_nothing(
    tab: Watched, make_session: Make, notebook: Notebook, proposals: Proposals, workspace: Workspace
) -> None:
    make_session(seeds=2).run()
    last = notebook.runs()[-1]
    hostile(notebook, last.run_id)
    worst = "\n\n".join(PAYLOADS)
    proposal = proposals.all()[-1]
    write_model(
        workspace.proposal(proposal.proposal_id), proposal.model_copy(update={"theory": worst, "arm": PAYLOADS[2]})
    )
    digest = workspace.session(str(last.session)).digest
    digest.write_text(worst)
    record = read_model(notebook.paths(last.run_id).run, type(last))
    write_model(notebook.paths(last.run_id).run, record.model_copy(update={"arm": PAYLOADS[0], "host": PAYLOADS[4]}))
    with notebook.paths(last.run_id).transcript.open("a") as file:
        file.write('{"kind": "message", "role": "assistant", "content": "<img src=x onerror=window.pwned=1>"}\n')
    with next(iter(notebook.paths(last.run_id).seeds.iterdir())).joinpath("train.log").open("a") as file:
        file.write(worst)
    seed = next(iter(notebook.paths(last.run_id).seeds.iterdir())).name
    page = tab.page
    here = f"/runs/{last.run_id}"
    for path in (here, f"{here}/transcript", f"{here}/log/{seed}", "/", "/runs", "/proposals", "/lessons",
                 f"/proposals/{proposal.proposal_id}", f"/sessions/{last.session}"):  # fmt: skip
        page.goto(path)
        page.wait_for_timeout(500)
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")  # as a person may
        for link in page.locator("main a").all()[:80]:
            assert re.match(r"https?://|/|\?|#", link.get_attribute("href") or "/"), path
            link.hover(force=True, trial=True)
        assert page.evaluate("window.pwned") is None, path
        handlers = "[...document.querySelectorAll('main *')].some(e => [...e.attributes].some(a => /^on/.test(a.name)))"
        assert not page.evaluate(handlers), path
        assert page.locator("main script, main iframe, main object, main embed, main style, main link").count() == 0


def test_by_keyboard_alone(tab: Watched, make_session: Make, notebook: Notebook, proposals: Proposals) -> None:
    make_session(seeds=2).run()
    page = tab.page
    page.goto("/runs")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "To the content"
    page.keyboard.press("Enter")
    page.get_by_label("Find").focus()
    page.keyboard.type(notebook.runs()[-1].run_id)
    expect(page.locator("#list tbody tr")).to_have_count(1)
    link = page.locator("#list tbody a").first
    link.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/runs/2*")
    plot = page.locator("#curves .plot")
    page.locator("#curves canvas").wait_for()
    plot.focus()
    page.keyboard.press("ArrowRight")
    reading = page.locator("#curves .reading")
    first = reading.inner_text()
    assert "agent steps of a replicate" in first
    page.keyboard.press("ArrowRight")
    assert reading.inner_text() != first
    page.keyboard.press("ArrowDown")
    assert reading.inner_text().split(":")[0] != first.split(":")[0]
    page.keyboard.press("+")
    page.keyboard.press("0")
    claim = page.locator(".claim").first
    claim.focus()
    assert page.evaluate("getComputedStyle(document.activeElement, '::after').content") not in ("none", "")
    waiting = next(p for p in proposals.all() if p.state is S.STAGED)
    page.goto(f"/proposals/{waiting.proposal_id}")
    for _ in range(60):  # to the button, as a person would
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == "Approve":
            break
    page.keyboard.press("Enter")
    page.get_by_text("by person ada, web").first.wait_for()
    assert proposals.get(waiting.proposal_id).state is S.APPROVED


def test_two_keys_from_the_front_page_to_a_decision(
    tab: Watched, make_session: Make, proposals: Proposals, propose: Any
) -> None:
    session = make_session(seeds=2)
    session.run()
    propose({"train.ent_coef": 0.02}, session=session.record.session_id)
    page = tab.page
    waiting = [p.proposal_id for p in proposals.all() if p.state is S.STAGED]
    assert waiting
    page.goto("/")
    page.keyboard.press("a")
    page.keyboard.press("Enter")
    page.get_by_text("by person ada, web").first.wait_for()
    approved = [p for p in proposals.all() if p.proposal_id in waiting and p.state is S.APPROVED]
    assert len(approved) == 1
    assert approved[0].decisions[-1].who == "person ada, web"


def test_the_same_keys_on_a_proposals_own_page(tab: Watched, proposals: Proposals, propose: Any) -> None:
    made = list[str]()
    for gamma in (0.91, 0.92):
        made.append(propose({"train.gamma": gamma}).proposal_id)
        proposals.decide(made[-1], S.STAGED, "policy", "left to a person")  # else the next takes its place
    first, second = made
    page = tab.page
    page.goto(f"/proposals/{first}")
    page.keyboard.press("j")
    page.wait_for_url(f"**/proposals/{second}")
    page.keyboard.press("r")
    page.keyboard.type("too far")
    page.keyboard.press("Enter")
    page.get_by_text("too far").first.wait_for()
    assert proposals.get(second).state is S.REJECTED
    page.goto(f"/proposals/{first}")
    page.keyboard.press("a")
    page.keyboard.press("Enter")
    page.get_by_text("by person ada, web").first.wait_for()
    assert proposals.get(first).state is S.APPROVED


@pytest.fixture
def paths(make_session: Make, notebook: Notebook, proposals: Proposals, propose: Any) -> list[str]:
    """The address of every kind of page, of a night with a proposal that waits."""
    session = make_session(seeds=2)
    session.run()
    propose({"train.ent_coef": 0.02}, session=session.record.session_id)
    runs = notebook.runs()
    one, two = runs[0].run_id, next(run.run_id for run in runs[::-1] if notebook.paths(run.run_id).transcript.exists())
    return ["/", "/runs?state=finished", f"/runs/{two}", f"/runs/{two}/transcript", f"/compare?run={one}&run={two}",
            "/search", "/lessons", "/notes", "/sessions", f"/sessions/{session.record.session_id}", "/proposals",
            f"/proposals/{proposals.all()[-1].proposal_id}"]  # fmt: skip


def test_every_page_fits_and_anybody_can_use_it(browser: Any, site: Site, paths: list[str]) -> None:
    from axe_playwright_python.sync_playwright import Axe

    backs, found = set(), list[str]()
    for width, scheme in ((360, "light"), (360, "dark"), (768, "light"), (1440, "light"), (1440, "dark")):
        tab = Watched(browser, site, viewport={"width": width, "height": 740}, color_scheme=scheme)
        for path in paths:
            tab.page.goto(path)
            tab.page.locator("main").wait_for()
            # What is folded is part of the page too.
            tab.page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
            assert tab.page.evaluate("document.documentElement.scrollWidth") <= width, path
            # A table is whole, or in a region that scrolls.
            cut = (
                "[...document.querySelectorAll('table')].filter((one) => one.getBoundingClientRect().right > innerWidth"
            )
            cut += " && !one.closest('.scroll') && getComputedStyle(one).overflowX !== 'auto').length"
            assert tab.page.evaluate(cut) == 0, path
            if width == 360:  # on a phone nobody scrolls a table sideways
                wide = "[...document.querySelectorAll('.scroll:has(table), .report table')]"
                wide += ".filter((one) => one.scrollWidth > one.clientWidth + 1).map((one) => one.outerHTML)"
                assert tab.page.evaluate(wide) == [], path
            faults = Axe().run(tab.page).response["violations"]
            found += [f"{width} {scheme} {path}: {one['id']}, {[node['html'] for node in one['nodes'][:2]]}"
                      for one in faults if one["impact"] in ("serious", "critical")]  # fmt: skip
        backs.add(tab.page.evaluate("getComputedStyle(document.body).backgroundColor"))
        tab.context.close()
        assert tab.wrong == []
    assert found == []
    assert len(backs) == 2


def test_a_phone_shows_headline_decision_and_what_to_do_next_at_once(
    browser: Any, site: Site, paths: list[str]
) -> None:
    phone = Watched(browser, site, viewport={"width": 360, "height": 740}, has_touch=True)
    phone.page.goto(paths[0])
    for what in (".headline", ".decision .yes", ".decision .no", ".lines code"):  # the last: what to do next
        expect(phone.page.locator(what).first).to_be_in_viewport(ratio=1)
    phone.page.goto(paths[2])
    for badge in phone.page.locator("h1 .badge").all():
        expect(badge).to_be_in_viewport(ratio=1)
    phone.page.goto("/sessions")  # the last of the pages, past the edge at first
    expect(phone.page.locator("nav [aria-current]")).to_be_in_viewport(ratio=1)
    phone.context.close()
    assert phone.wrong == []


def test_a_chart_is_read_and_switched_with_the_mouse(tab: Watched, make_session: Make, notebook: Notebook) -> None:
    session = make_session(seeds=2)
    session.run()
    page = tab.page
    page.goto("/")
    page.locator(".chart canvas").wait_for()
    over = page.locator(".chart .u-over")
    over.scroll_into_view_if_needed()
    box = over.bounding_box()
    found = False
    for x in range(0, int(box["width"]), 6):  # along the line of the leader
        for y in (0.1, 0.3, 0.5, 0.7, 0.9):
            page.mouse.move(box["x"] + x, box["y"] + y * box["height"])
            if found := notebook.runs()[0].run_id[:10] in page.locator(".chart .reading").inner_text():
                break
        if found:
            break
    assert found
    button = page.locator(".legend button").last
    assert button.get_attribute("aria-pressed") == "true"
    button.click()
    assert button.get_attribute("aria-pressed") == "false"
    page.set_viewport_size({"width": 700, "height": 700})
    narrow = "document.querySelector('.chart canvas').getBoundingClientRect().width < 700"
    until(page, lambda: page.evaluate(narrow))


def test_all_curves_share_a_cursor_and_their_controls(tab: Watched, make_session: Make, notebook: Notebook) -> None:
    make_session(seeds=2).run()
    page = tab.page
    page.goto(f"/runs/{notebook.runs()[-1].run_id}")
    small = page.locator("#logged .multiples > figure").filter(has_text="losses/entropy")
    small.scroll_into_view_if_needed()
    small.locator("canvas").wait_for()
    values = small.locator(".legend b")
    page.locator("#curves .plot").focus()
    page.keyboard.press("Home")
    expect(values.first).not_to_be_empty()
    first = values.all_inner_texts()
    assert len(first) >= 2  # this run, its parent
    page.keyboard.press("End")
    last = values.all_inner_texts()
    assert last != first
    # The mean of what came before lies above a falling curve's last value.
    page.get_by_label("Smoothing").fill("0.9")
    assert float(values.first.inner_text()) > float(last[0])
    page.get_by_label("logarithmic values").check()
    assert float(values.first.inner_text()) > float(last[0])
    small.locator(".legend button").first.click()
    expect(page.locator("#curves .legend button").first).to_have_attribute("aria-pressed", "false")


def test_runs_are_followed_through_their_keys(tab: Watched, make_session: Make, notebook: Notebook) -> None:
    make_session(seeds=1).run()
    page = tab.page
    page.goto("/search")
    lines, reading = page.locator(".ways .way"), page.locator(".ways + .reading")
    lines.first.wait_for(state="attached")
    page.locator("#effects").get_by_text("nothing can be said yet").wait_for()
    scores = {run.run_id: notebook.summary(run.run_id).metrics["perf"].mean  # type: ignore[union-attr]
              for run in notebook.runs() if run.replicates_of is None}  # fmt: skip
    assert lines.count() == len(scores)
    page.locator(".ways").focus()
    page.keyboard.press("ArrowRight")  # the best first
    expect(reading).to_contain_text(f"perf {max(scores.values()):.4g}")
    first = reading.inner_text()
    page.keyboard.press("ArrowRight")
    assert reading.inner_text() != first
    page.keyboard.press("Escape")
    axis = page.locator(".ways .axis").last.bounding_box()  # the score's: only the better half passes
    page.mouse.move(axis["x"], axis["y"] + 2)
    page.mouse.down()
    page.mouse.move(axis["x"], axis["y"] + axis["height"] / 2)
    page.mouse.up()
    expect(reading).to_contain_text(f"of {len(scores)} runs pass")
    expect(page.locator(".ways .way.off")).not_to_have_count(0)
    page.keyboard.press("Escape")
    expect(page.locator(".ways .way.off")).to_have_count(0)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/runs/{max(scores, key=lambda name: scores[name])}")


def test_the_choice_of_columns_is_kept(tab: Watched, make_session: Make) -> None:
    make_session(seeds=1, budgets=Budgets(max_runs=6)).run()
    page = tab.page
    page.goto("/runs")
    heads = page.locator("table.runs th:visible")
    before = heads.all_inner_texts()
    page.get_by_text("Columns", exact=True).click()
    page.get_by_role("checkbox", name="worst seed").uncheck()
    left = [text for text in before if text != "worst seed"]
    assert heads.all_inner_texts() == left
    page.get_by_label("Find").fill("train")  # the list is swapped, and keeps to it
    page.wait_for_url("**/runs?text=train*")
    expect(heads).to_have_count(len(left))
    page.goto("/runs")
    expect(heads).to_have_count(len(left))
    assert page.locator("table.runs tbody tr").first.locator("td:visible").count() == len(left)
    page.evaluate("localStorage.setItem('columns of runs', 'not JSON')")
    page.goto("/runs")
    expect(heads).to_have_count(len(before))
