"""Routes that show something; none of them changes anything."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import (
    FileResponse,
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
)

from lab.base import NotFound, Record, RunPaths, SessionPaths, is_id, plain
from lab.space import Group
from lab.store import Questions, RunState, Sessions, Wanted, proposal_called, run_called
from report import compared_arms, compared_with, digest_now, effects_in, headline_of, is_it_better
from review import charts as draw
from review import folder_views, group_views, run_views, session_views, space_views
from review.page import Page
from review.prose import html_of
from review.waiting import others, seen

Text = Annotated[str, Query(max_length=200)]
Names = Annotated[list[str], Query(max_length=20)]
GroupNumber = Annotated[int, Query(ge=0)]
Sort = Literal["created", "env", "state", "arm", "score", "worst", "verdict", "n"]


def pages(page: Page) -> APIRouter:
    """The routes of all pages that are read."""
    routes, notebook, proposals = APIRouter(), page.notebook, page.proposals

    @routes.get("/find/{name}")
    def _find(name: str) -> RedirectResponse:
        """The page of whatever has this id."""
        return RedirectResponse(f"/{_kind_of(page, name)}/{name}", status_code=303)

    @routes.get("/proposals/{proposal_id}/{what}")
    def _back(proposal_id: str, what: Literal["approve", "reject", "edit", "check"]) -> RedirectResponse:
        """The address that a browser shows after a form that was not accepted."""
        del what
        return RedirectResponse(f"/proposals/{page.proposals.get(proposal_id).proposal_id}", status_code=303)

    @routes.get("/")
    @page.steady
    def _tonight(request: Request) -> HTMLResponse:
        shown = session_views.tonight(notebook, proposals)
        better = is_it_better(notebook, shown["record"]) if shown["record"] else ""
        return page.render(request, "tonight.html.j2", **shown, better=html_of(better))

    @routes.get("/live")
    @page.steady
    def _live(request: Request) -> HTMLResponse:
        return page.render(request, "live.html.j2", **session_views.tonight(notebook, proposals))

    @routes.get("/decide")
    def _decide(request: Request) -> HTMLResponse:
        """What waits for a decision, for the first page while a session runs."""
        return page.render(request, "decide.html.j2", **session_views.deciding(proposals))

    @routes.get("/sessions")
    @page.steady
    def _sessions(request: Request) -> HTMLResponse:
        return page.render(request, "sessions.html.j2", sessions=session_views.sessions(notebook, proposals))

    @routes.get("/sessions/{name}")
    @page.steady
    def _session(request: Request, name: str) -> Response:
        """The page of a session; part of its id leads there."""
        sessions = Sessions(notebook.workspace)
        record = sessions.named(name)
        if record.session_id != name:
            return RedirectResponse(f"/sessions/{record.session_id}", status_code=303)
        paths = notebook.workspace.session(name)
        text = digest_now(notebook, proposals, record) if folder_views.own(paths.digest, paths.dir) else ""
        told: dict[str, Any] = {
            "digest": html_of(text, folder_views.pictures_of(paths, f"/sessions/{name}")),
            "arms": compared_arms(notebook, record.group, name),
            "headline": None if text else headline_of(notebook, proposals, record),  # a digest begins with its own
        }
        return page.render(request, "session.html.j2", record=record, **told)

    @routes.get("/sessions/{name}/pictures/{picture}")
    def _digest_picture(name: str, picture: str) -> Response:
        Sessions(notebook.workspace).get(name)
        return _picture(notebook.workspace.session(name), picture)

    @routes.get("/runs")
    @page.steady
    def _runs(
        request: Request,
        env: Text = "",
        preset: Text = "",
        state: Text = "",
        verdict: Text = "",
        arm: Text = "",
        session: Text = "",
        text: Text = "",
        sort: Sort = "created",
        way: Literal["up", "down"] = "down",
        number: Annotated[int, Query(alias="page", ge=1, le=1_000_000)] = 1,
    ) -> HTMLResponse:
        kinds: dict[str, Any] = {"preset": preset, "state": state, "arm": arm, "session": session}
        wanted = Wanted(env_name=env, **kinds, text=text.strip(), sort=sort, descending=way == "down")
        listed = run_views.listing(page.sparks, wanted, number, verdict)
        chosen = {"env": env, **kinds, "verdict": verdict, "text": text}
        return page.render(request, "runs.html.j2", **listed, wanted=wanted, chosen=chosen, sort=sort, way=way)

    @routes.get("/runs/{run_id}")
    @page.steady
    def _run(request: Request, run_id: str) -> Response:
        """The page of a run; whatever else it is called leads there."""
        if not (is_id(run_id) and notebook.workspace.run(run_id).run.exists()):
            return RedirectResponse(f"/runs/{run_called(notebook, run_id)}", status_code=303)
        return page.render(request, "run.html.j2", **run_views.run(notebook, run_id))

    @routes.get("/runs/{run_id}/log/{seed}")
    def _log(run_id: str, seed: int) -> PlainTextResponse:
        return PlainTextResponse(folder_views.log_of(notebook, run_id, seed))

    @routes.get("/runs/{run_id}/transcript")
    def _transcript(request: Request, run_id: str) -> HTMLResponse:
        turns, more = folder_views.transcript_of(notebook, run_id)
        return page.render(request, "transcript.html.j2", run_id=run_id, turns=turns, more=more)

    @routes.get("/runs/{run_id}/pictures/{picture}")
    def _run_picture(run_id: str, picture: str) -> Response:
        return _picture(notebook.paths(run_id), picture)

    @routes.get("/compare")
    @page.steady
    def _compare(request: Request, run: Names = []) -> HTMLResponse:  # noqa: B006 - FastAPI copies it
        return page.render(request, "compare.html.j2", **group_views.together(notebook, run))

    @routes.get("/proposals")
    @page.steady
    def _proposals(request: Request) -> HTMLResponse:
        return page.render(request, "proposals.html.j2", **session_views.queue(notebook, proposals, page.lab))

    @routes.get("/proposals/{proposal_id}")
    @page.steady
    def _proposal(request: Request, proposal_id: str) -> Response:
        """The page of a proposal; part of its id leads there."""
        proposal = proposal_called(proposals, proposal_id)
        if proposal.proposal_id != proposal_id:
            return RedirectResponse(f"/proposals/{proposal.proposal_id}", status_code=303)
        waiting, more = seen(proposal, page.lab(proposal.env_name)), others(proposals, proposal)
        return page.render(request, "proposal.html.j2", waiting=waiting, others=more, error="", given={})

    return routes


def groups(page: Page) -> APIRouter:
    """The routes of a group of runs: what its search came to, what was learnt, and the charts of both."""
    routes, notebook = APIRouter(), page.notebook

    def _group(number: int) -> tuple[list[Group], Group | None]:
        groups = Questions(notebook.index).groups()
        if number and number >= len(groups):
            raise NotFound(f"there is no group {number} of runs: there are {len(groups)}, counted from 0")
        return groups, groups[number] if groups else None

    def _one(number: int) -> Group:
        _, one = _group(number)
        if one is None:
            raise NotFound("there are no runs yet")
        return one

    @routes.get("/search")
    @page.steady
    def _search(request: Request, group: GroupNumber = 0) -> HTMLResponse:
        groups, one = _group(group)
        shown = group_views.searched(notebook, one) if one else None
        return page.render(request, "search.html.j2", groups=groups, chosen=group, found=shown)

    @routes.get("/lessons")
    @page.steady
    def _lessons(request: Request, group: GroupNumber = 0) -> HTMLResponse:
        groups, one = _group(group)
        shown = group_views.knowledge(notebook, page.lab, one) if one else None
        return page.render(request, "lessons.html.j2", groups=groups, chosen=group, found=shown)

    @routes.get("/search/effects")
    def _effects(request: Request, group: GroupNumber = 0) -> HTMLResponse:
        """What takes a model of all runs, after the page is there."""
        shown = group_views.importance(notebook, page.lab, _one(group))
        return page.render(request, "effects.html.j2", found=shown, chosen=group)

    @routes.get("/charts/search")
    def _against(group: GroupNumber, key: Text) -> JSONResponse:
        return _json(draw.against(notebook, _one(group), key))

    @routes.get("/charts/effect")
    def _effect(group: GroupNumber, key: Text) -> JSONResponse:
        one = _one(group)
        return _json(space_views.effect(effects_in(page.lab(one.env_name), one), one, key))

    @routes.get("/charts/ways")
    def _ways(group: GroupNumber = 0) -> JSONResponse:
        return _json(space_views.ways(notebook, _one(group)))

    @routes.get("/charts/arms")
    def _arms_of_all(group: GroupNumber = 0) -> JSONResponse:
        return _json(draw.arms(notebook, _one(group)))

    return routes


def charts(page: Page) -> APIRouter:
    """The routes of the JSON that charts are drawn from."""
    routes, notebook = APIRouter(prefix="/charts"), page.notebook

    @routes.get("/run/{run_id}")
    def _curves(run_id: str, metric: Text = "") -> JSONResponse:
        run = notebook.run(run_id)
        named = [("run", run_id), *((_role(label), other) for label, other in compared_with(notebook, run))]
        if run.state in (RunState.RUNNING, RunState.QUEUED) and run.parent and notebook.readable(run.parent):
            named.append(("parent", run.parent))
        incumbent = notebook.incumbent(run.group)
        if incumbent and incumbent not in {name for _, name in named} and notebook.readable(incumbent):
            named.append(("incumbent", incumbent))
        metric = metric or next(iter(draw.logged(notebook, run_id)), "")
        return _json(draw.curves(notebook, named, metric))

    @routes.get("/parent/{run_id}")
    def _of_parent(run_id: str) -> JSONResponse:
        incumbent = notebook.incumbent(notebook.run(run_id).group)
        named = [("parent", run_id)]
        if incumbent and incumbent != run_id and notebook.readable(incumbent):
            named.append(("incumbent", incumbent))
        return _json(draw.curves(notebook, named, next(iter(draw.logged(notebook, run_id)), "")))

    @routes.get("/compare")
    def _compared(run: Names, metric: Text = "") -> JSONResponse:
        metric = metric or next(iter(draw.logged(notebook, run[0])), "")
        return _json(draw.curves(notebook, [(name, name) for name in run[: group_views.MOST]], metric))

    @routes.get("/best/{session}")
    def _best(session: str) -> JSONResponse:
        return _json(draw.best_so_far(notebook, Sessions(notebook.workspace).get(session)))

    @routes.get("/arms/{session}")
    def _arms(session: str) -> JSONResponse:
        return _json(draw.arms(notebook, Sessions(notebook.workspace).get(session).group, session))

    @routes.get("/trade/{session}")
    def _trade(session: str) -> JSONResponse:
        return _json(draw.trade(notebook, Sessions(notebook.workspace).get(session)))

    return routes


def _kind_of(page: Page, name: str) -> str:
    """The kind of thing that has an id: proposals, sessions or runs, as its address has it."""
    if name != "next_config" and page.proposals.has(name):
        return "proposals"
    return "sessions" if page.notebook.workspace.session(name).session.exists() else "runs"


def _role(label: str) -> str:
    return label.partition(" (")[0]


def _json(chart: Record) -> JSONResponse:
    return JSONResponse(chart.model_dump(mode="json"))


def _picture(paths: RunPaths | SessionPaths, name: str) -> Response:
    """A picture of a folder; the name is only compared, never made a path of."""
    there = {file.name: file for file in folder_views.picture_files(paths).values()}
    if name not in there:
        raise NotFound(f"there is no picture {plain(name, 60)!r}")
    return FileResponse(there[name], media_type=folder_views.PICTURES[there[name].suffix])
