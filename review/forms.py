"""Routes that change something: a person approves, rejects or edits a proposal, leaves a note or a comment.

Each form names the version of the proposal that it was made for, so that nobody decides on what they have not seen, and
carries a token of our own page.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse, Response

from lab.base import AutopilotError, InvalidInput, plain
from lab.space import assignments
from lab.store import Proposal, add_comment, add_note, log_lines, notes_in, require_seen
from review import decisions, session_views
from review.page import Page
from review.waiting import others
from review.waiting import seen as shown

LOGGED = 100
"""Entries of the research log that are shown, the latest ones."""
FIELDS = 500
"""Fields of a form, at most."""
TICK = "tick."
"""The prefix of a field's name that holds the version of a proposal which was ticked."""
VALUE = "value."
"""The prefix of a field's name that holds a key's new value."""


async def signed_form(page: Page, request: Request) -> dict[str, str]:
    """The fields of a form of this page.

    Raises:
        InvalidInput: it is of another.
    """
    form = await request.form(max_files=0, max_fields=FIELDS)
    fields = {name: value for name, value in form.items() if isinstance(value, str)}
    if not page.guard.signed(request, fields.get("csrf", "")):
        raise InvalidInput("this form is not of this page, or the page was started again: load it once more")
    return fields


def saying(page: Page) -> APIRouter:
    """The routes by which a person leaves a note, or a comment on a run or a proposal."""
    routes = APIRouter()

    @routes.get("/notes")
    def _notes(request: Request) -> Response:
        kept = log_lines(page.workspace)[-LOGGED:]
        return page.render(request, "notes.html.j2", notes=notes_in(page.workspace), kept=kept[::-1])

    @routes.post("/notes")
    async def _note(request: Request) -> Response:
        form = await signed_form(page, request)
        await run_in_threadpool(add_note, page.workspace, form.get("text", ""))
        return RedirectResponse("/notes", status_code=303)

    @routes.post("/comments/{kind}/{about}")
    async def _comment(request: Request, kind: Literal["runs", "proposals"], about: str) -> Response:
        form = await signed_form(page, request)
        await run_in_threadpool(add_comment, page.workspace, about, page.who, form.get("text", ""))
        return RedirectResponse(f"/{kind}/{about}#comments", status_code=303)

    return routes


def several(page: Page) -> APIRouter:
    """The route by which a person decides about several proposals at once."""
    routes, proposals = APIRouter(), page.proposals

    @routes.post("/proposals")
    async def _several(request: Request) -> Response:
        """Approve, or reject, all that were ticked; each is a decision of its own, and what fails is said."""
        form = await signed_form(page, request)
        ticked = [name.removeprefix(TICK) for name in form if name.startswith(TICK)]

        def do() -> list[str]:
            problems = list[str]()
            for proposal_id in ticked:
                try:
                    proposal = proposals.get(proposal_id)
                    require_seen(proposal, form[TICK + proposal_id])
                    if form.get("decide") == "approve":
                        decisions.approve(page.lab(proposal.env_name), proposal, page.who)
                    else:
                        decisions.reject(proposals, proposal, page.who, form.get("why", ""))
                except AutopilotError as error:
                    problems.append(plain(f"{proposal_id}: {error}", 1000))
            return problems if ticked else ["nothing was ticked"]

        def again(problems: list[str]) -> Response:
            shown = session_views.queue(page.notebook, proposals, page.lab)
            shown |= {"problems": problems, "given": form.get("why", ""), "ticked": ticked}
            return page.render(request, "proposals.html.j2", 409, **shown)

        if problems := await run_in_threadpool(do):
            return await run_in_threadpool(again, problems)
        return RedirectResponse("/proposals", status_code=303)

    return routes


def deciding(page: Page) -> APIRouter:
    """The routes by which a person decides about a proposal."""
    routes, proposals = APIRouter(prefix="/proposals"), page.proposals

    async def form_of(request: Request) -> dict[str, str]:
        return await signed_form(page, request)

    def as_seen(proposal_id: str, form: Mapping[str, str]) -> Proposal:
        proposal = proposals.get(proposal_id)
        require_seen(proposal, form.get("version", ""))
        return proposal

    async def decide(request: Request, proposal_id: str, do: Callable[[Mapping[str, str]], str]) -> Response:
        form = await form_of(request)
        try:
            to = await run_in_threadpool(do, form)
        except InvalidInput as error:
            return await run_in_threadpool(again, request, proposal_id, form, str(error))
        return RedirectResponse(f"/proposals/{to}", status_code=303)

    def again(request: Request, proposal_id: str, form: Mapping[str, str], error: str) -> Response:
        proposal = proposals.get(proposal_id)
        about = {"waiting": shown(proposal, page.lab(proposal.env_name)), "others": others(proposals, proposal)}
        return page.render(request, "proposal.html.j2", 409, **about, error=plain(error, 4000), given=form)

    @routes.post("/{proposal_id}/approve")
    async def _approve(request: Request, proposal_id: str) -> Response:
        def do(form: Mapping[str, str]) -> str:
            proposal = as_seen(proposal_id, form)
            decisions.approve(page.lab(proposal.env_name), proposal, page.who)
            return proposal_id

        return await decide(request, proposal_id, do)

    @routes.post("/{proposal_id}/reject")
    async def _reject(request: Request, proposal_id: str) -> Response:
        def do(form: Mapping[str, str]) -> str:
            decisions.reject(proposals, as_seen(proposal_id, form), page.who, form.get("why", ""))
            return proposal_id

        return await decide(request, proposal_id, do)

    @routes.post("/{proposal_id}/edit")
    async def _edit(request: Request, proposal_id: str) -> Response:
        def do(form: Mapping[str, str]) -> str:
            proposal = as_seen(proposal_id, form)
            lab = page.lab(proposal.env_name)
            new = decisions.edit(lab, proposal, changes_of(proposal, form), page.who, form.get("theory", ""))
            if "approve" in form:
                decisions.approve(lab, new, page.who)
            return new.proposal_id

        return await decide(request, proposal_id, do)

    @routes.post("/{proposal_id}/check")
    async def _check(request: Request, proposal_id: str) -> Response:
        form = await form_of(request)

        def look() -> Response:
            try:
                proposal = as_seen(proposal_id, form)
                lab = page.lab(proposal.env_name)
                new = decisions.edited(lab, proposal, changes_of(proposal, form), page.who)
            except InvalidInput as error:
                problems = [str(problem) for problem in error.problems] or [str(error)]
                return page.render(request, "checked.html.j2", problems=problems, new=None)
            return page.render(request, "checked.html.j2", problems=[], new=shown(new, lab))

        return await run_in_threadpool(look)

    return routes


def changes_of(proposal: Proposal, form: Mapping[str, str]) -> dict[str, Any]:
    """The changes that a form makes to a proposal: the fields with other values than it has, and lines of KEY=VALUE.

    Raises:
        InvalidInput: a line is not KEY=VALUE, or a key is given two values.
    """
    lines = [f"{name.removeprefix(VALUE)}={text}" for name, text in form.items() if name.startswith(VALUE)]
    lines += [line for line in form.get("more", "").splitlines() if line.strip()]
    return {key: value for key, value in assignments(lines).items() if proposal.overrides.get(key) != value}
