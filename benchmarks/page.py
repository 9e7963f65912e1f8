"""The page over a workspace of ten thousand runs and as many proposals: `.venv/bin/python -m benchmarks.page [RUNS]`.

Served for real on loopback; each time is a whole answer, from request to last byte. A run's page is that of a run with
curves and, where the session came to a new config, report and parent. Against them: the list of runs without the index,
which reads every folder.
"""

import itertools
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from agent.analysis import Analyst
from agent.model import OfflineResearcher
from agent.session.session import Session
from benchmarks.common import tell
from benchmarks.ten_thousand import ENV, generate, milliseconds, without_index
from lab.base import Workspace, new_id, now, write_atomic
from lab.store import Budgets, Decision, Lab, Notebook, Proposal, Proposals, ProposalState, SessionRecord
from report import SilentView
from review.app import create_app
from review.page import Page
from review.serve import listening
from training import FakeRunner, load_inventory


def night(place: Workspace) -> SessionRecord:
    """A session on the fake runner: runs with curves, reports, pictures; a proposal that waits."""
    created, notebook, inventory = now(), Notebook(place), load_inventory([ENV])
    record = SessionRecord(
        session_id=new_id(created), env_name=ENV, preset="quick", objective="perf:max", model="offline",
        approve="auto", seeds=3, budgets=Budgets(max_runs=6), created=created,
    )  # fmt: skip
    analyst = Analyst(Lab(notebook, inventory), OfflineResearcher(), record.session_id, lambda: False)
    return Session(record, Lab(notebook, inventory), FakeRunner(), analyst, SilentView(), patience=None).run()


def propose(place: Workspace, count: int) -> None:
    """Decided proposals, as many nights leave them."""
    notebook = Notebook(place)
    parent = notebook.latest(1)[0]
    at, fingerprint = now(), notebook.config(parent.run_id).fingerprint()
    for number in range(count):
        name = f"2026-01-01T000000Z-{number:05d}"
        made = Proposal(
            proposal_id=name, created=at, env_name=ENV, preset="quick", objective="perf:max", task=parent.task.key,
            parent=parent.run_id, parent_config=fingerprint, analysed=parent.run_id, session=None, arm="offline",
            overrides={"train.ent_coef": 0.01}, theory="made up",
            decisions=(Decision(time=at, state=ProposalState.REJECTED, who="made up"),),
        )  # fmt: skip
        place.proposal(name).write_text(made.model_dump_json(indent=2))


def main() -> None:
    """Print times, and their ratio to reading every folder."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory() as folder:
        place = Workspace(Path(folder))
        generate(place, count)
        session = night(place)
        propose(place, count)
        write_atomic(place.settings, "")
        bound, guard = listening("127.0.0.1", 0, None)
        inventory = load_inventory([ENV])
        server = uvicorn.Server(
            uvicorn.Config(create_app(Page(place, lambda _: inventory, "nobody", guard)), log_level="critical")
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
        thread.start()
        notebook = Notebook(place)
        trained = notebook.runs(session=session.session_id)  # over a long record, mostly more seeds of what is there
        runs = [run.run_id for run in trained if not run.replicates_of] or [run.run_id for run in trained]
        turn, waiting = itertools.cycle(runs), Proposals(place).staged(session.group) or Proposals(place).all()[-1]
        with httpx.Client(base_url=f"http://127.0.0.1:{guard.port}", timeout=120) as client:

            def ask(path: str) -> Any:
                answer = client.get(path)
                answer.raise_for_status()
                return answer

            began = time.perf_counter()
            ask("/runs")
            first = time.perf_counter() - began
            ask("/proposals")
            asked = {
                "runs, the newest hundred": milliseconds(lambda: ask("/runs")),
                "runs, page 50, by score": milliseconds(lambda: ask("/runs?sort=score&way=up&page=50")),
                "runs, filtered by a changed key": milliseconds(lambda: ask("/runs?text=train.gamma&state=finished")),
                "a run": milliseconds(lambda: ask(f"/runs/{next(turn)}")),
                "a run's curves": milliseconds(lambda: ask(f"/charts/run/{next(turn)}")),
                "tonight, what changes": milliseconds(lambda: ask("/live")),
                "compare two": milliseconds(lambda: ask(f"/compare?run={runs[0]}&run={runs[1]}")),
                "proposals": milliseconds(lambda: ask("/proposals")),
                "a proposal": milliseconds(lambda: ask(f"/proposals/{waiting.proposal_id}")),
                "search": milliseconds(lambda: ask("/search")),
                "runs through their keys": milliseconds(lambda: ask("/charts/ways?group=0")),
                "what each key does": milliseconds(lambda: ask("/search/effects?group=0")),
                "runs, by verdict": milliseconds(lambda: ask("/runs?sort=verdict")),
                "runs, by the worst seed": milliseconds(lambda: ask("/runs?sort=worst")),
                "score against a parameter": milliseconds(
                    lambda: ask("/charts/search?group=0&key=train.learning_rate")
                ),
                "lessons": milliseconds(lambda: ask("/lessons")),
            }
        server.should_exit = True
        thread.join(30)
        began = time.perf_counter()
        without_index(place, 100)
        bare = 1000 * (time.perf_counter() - began)
        tell(
            "the page over a workspace of many runs, milliseconds", runs=count, asked=asked,
            first_ms=round(1000 * first), last_100_without_index_ms=round(bare),
            ratio=round(bare / asked["runs, the newest hundred"]["median"], 1),
        )  # fmt: skip


if __name__ == "__main__":
    main()
