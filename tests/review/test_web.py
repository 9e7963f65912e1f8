"""The page over real HTTP: what it shows is the record, and only its own forms change anything."""

import json
import re
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from lab.base.files import append_line, read_lines, write_model
from lab.base.schema import now
from lab.judge.degrees import ORDER
from lab.space.config import Config
from lab.space.inventory import Inventory
from lab.store.creation import create_run
from lab.store.lab import Lab
from lab.store.naming import give_name
from lab.store.notebook import Notebook
from lab.store.notes import comments_in
from lab.store.proposal import ProposalState as S
from lab.store.proposals import Proposals
from lab.store.records import Confirmation, RunState
from lab.store.sessions import Sessions
from report.view import view_of
from review import decisions
from tests.agent.conftest import Make, make_session
from tests.conftest import Cli, RunMaker, lasted
from tests.review.conftest import Serve, Site

__all__ = ["make_session"]


def test_every_page_of_an_empty_workspace(site: Site) -> None:
    for path in ("/", "/live", "/runs", "/search", "/lessons", "/notes", "/sessions", "/proposals"):
        answer = site.get(path)
        assert answer.status_code == 200, path
        assert "Internal Server Error" not in answer.text


def test_every_page_of_a_night(site: Site, make_session: Make, notebook: Notebook) -> None:
    session = make_session()
    session.run()
    runs = notebook.runs()
    first, last = runs[0].run_id, runs[-1].run_id
    night = session.record.session_id
    pages = ["/", "/live", "/runs", "/search", "/lessons", "/sessions", f"/sessions/{night}", "/proposals",
             *(f"/runs/{run.run_id}" for run in runs), f"/runs/{last}/transcript", f"/compare?run={first}&run={last}",
             *(f"/proposals/{p.proposal_id}" for p in Proposals(notebook.workspace).all())]  # fmt: skip
    for path in pages:
        answer = site.get(path)
        assert answer.status_code == 200, path
        assert answer.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
        assert " style=" not in answer.text, path
        assert not re.search(r"<[^>]+\son\w+=", answer.text), path
        assert "http://" not in re.sub(r"http://www.w3.org/2000/svg", "", answer.text), path
    assert f"/runs/{last}" in site.get("/").text
    assert "all 8 replicates are trained" in site.get("/live").text
    for picture in re.findall(rf"/runs/{last}/pictures/\w+\.png", site.get(f"/runs/{last}").text):
        assert site.get(picture).headers["content-type"] == "image/png"
    assert re.search(r'<span class="claim verified" tabindex="0" data-evidence="verified: [^"]+">',
                     site.get(f"/runs/{last}").text)  # fmt: skip


def test_where_nothing_has_a_score_what_to_look_at_comes_before_what_waits(
    site: Site, make_session: Make, make_run: RunMaker, propose: Any, notebook: Notebook
) -> None:
    session = make_session().record
    propose({"train.ent_coef": 0.02})
    run = make_run(session=session.session_id, fault="crash")
    order: dict[bool, list[int]] = {}
    states: list[dict[str, Any]] = [{}, {"ended": now(), "ended_because": "a test"}]
    for state in states:
        Sessions(notebook.workspace).save(session.model_copy(update=state))
        text = site.get("/").text
        order[bool(state)] = [text.index(part) for part in ('<div id="lines">', '<button class="yes">Approve')]
    assert f"<dt>next</dt><dd><code>autopilot logs {run.number}</code></dd>" in text
    assert order[True] == sorted(order[True])
    assert order[False] == sorted(order[False], reverse=True)  # it may yet find something


def test_charts_are_what_the_record_says(site: Site, make_session: Make, notebook: Notebook) -> None:
    session = make_session()
    session.run()
    *_, last = notebook.runs()
    chart = site.get(f"/charts/run/{last.run_id}").json()
    roles = [one["role"] for one in chart["series"] if one["kind"] == "line"]
    assert roles[0] == "run"
    assert "parent" in roles
    assert sum(one["kind"] == "thin" and one["role"] == "run" for one in chart["series"]) == len(last.seeds)
    assert chart["x"]["label"] == "agent steps of a replicate"
    best = site.get(f"/charts/best/{session.record.session_id}").json()
    points = next(one for one in best["series"] if one["kind"] == "points")
    shown = dict(zip(points["names"], points["y"], strict=True))
    assert shown == {run.run_id: notebook.summary(run.run_id).metrics["perf"].mean for run in notebook.runs()}  # type: ignore[union-attr]
    line = next(one for one in best["series"] if one["kind"] == "steps")
    believed = Sessions(notebook.workspace).leading(session.record.session_id)
    assert (line["label"], line["y"]) == ("the leader, as the search believes", [one.mean for one in believed])
    assert [one.trained for one in believed] == [5, 6, 7, 8]
    assert best["x"]["unit"] == "seconds"  # it took as long
    notebook.workspace.session(session.record.session_id).leader.unlink()  # as of an earlier version's
    earlier = site.get(f"/charts/best/{session.record.session_id}").json()
    line = next(one for one in earlier["series"] if one["kind"] == "steps")
    assert (line["label"], line["y"]) == ("best mean so far", sorted(line["y"]))
    key = next(iter(notebook.overrides(last.run_id)))
    against = site.get("/charts/search", params={"group": 0, "key": key}).json()
    assert sum(len(one["x"]) for one in against["series"]) == len(notebook.runs())
    assert site.get("/charts/search", params={"group": 0, "key": "train.nonsense"}).status_code == 404
    assert site.get("/charts/search", params={"group": 9, "key": key}).status_code == 404


@pytest.mark.parametrize(
    ("outcome", "label"), [("confirmed", "proven better on fresh seeds"), ("dropped", "not proven on fresh seeds")]
)
def test_the_leaders_chart_marks_what_came_of_proofs(
    site: Site, make_session: Make, notebook: Notebook, outcome: str, label: str
) -> None:
    session = make_session()
    session.run()
    base, contender, *_ = notebook.runs()
    decided = Confirmation(
        time=session.record.created + timedelta(seconds=1), candidate=contender.run_id, incumbent=base.run_id,
        outcome=outcome, why="a test", level=0.01, min_effect=0.0, group=5, looks=1, metric="perf", seeds=5,
        effect=0.2, low=0.1, high=0.3, runs=(contender.run_id,), session=session.record.session_id,
    )  # fmt: skip
    append_line(notebook.workspace.confirmations, decided.model_dump(mode="json"))
    drawn = site.get(f"/charts/best/{session.record.session_id}").json()
    (proofs,) = (one for one in drawn["series"] if "fresh seeds" in one["label"])
    (score,) = notebook.values(contender.run_id, "perf")
    assert (proofs["label"], proofs["kind"], proofs["names"]) == (label, "points", [contender.run_id])
    assert (proofs["x"], proofs["y"]) == ([pytest.approx(1.0)], [pytest.approx(score)])


def test_a_runs_page_has_all_its_curves_and_folds_what_few_look_at(
    site: Site, make_session: Make, notebook: Notebook
) -> None:
    make_session(seeds=1).run()
    *_, last = notebook.runs()
    text = site.get(f"/runs/{last.run_id}").text
    small = re.findall(r'<figure class="chart small" data-src="([^"]+)"', text)
    assert [one.rpartition("=")[2] for one in small] == ["losses/entropy", "SPS"]
    for one in small:
        chart = site.get(one).json()
        assert one.endswith(chart["y"]["label"])
        assert {series["label"].split(":")[0] for series in chart["series"]} > {"run", "parent"}
    shown = re.sub(r"(?s)<details>.*?</details>", "", text)
    for folded in ("Repro notes", "Versions, files and hashes", "weights (sha256)", "Derived batch"):
        assert folded not in shown
    assert "weights (sha256)" in text
    assert "Derived batch" in text
    assert "Observations" in shown


def test_a_damaged_curve_spoils_no_list(site: Site, make_run: RunMaker, notebook: Notebook) -> None:
    run = make_run()
    paths = notebook.paths(run.run_id)
    paths.seed(run.seeds[0]).metrics.write_bytes(b"PAR1 not at all")
    listed = site.get("/runs")
    assert listed.status_code == 200
    assert f"/runs/{run.run_id}" in listed.text
    said = site.get(f"/runs/{run.run_id}")
    assert (said.status_code, "metrics.parquet" in said.text) == (404, True)


def test_a_curve_of_one_point_is_a_point(site: Site, make_run: RunMaker, notebook: Notebook) -> None:
    run = make_run()
    paths = notebook.paths(run.run_id)
    for seed in run.seeds:
        paths.seed(seed).metrics.unlink()
        paths.seed(seed).metrics_live.write_text('{"agent_steps": 2000, "environment/perf": 0.5}\n')
    chart = site.get(f"/charts/run/{run.run_id}").json()
    assert [(one["kind"], one["x"], one["y"]) for one in chart["series"]] == [("points", [2000], [0.5])] * 2
    assert '<rect x="48"' in site.get("/runs").text


def test_the_search_page_draws_every_run_through_its_keys(site: Site, make_run: RunMaker, notebook: Notebook) -> None:
    base = make_run({"autopilot.seeds": 1}).run_id
    assert site.get("/charts/ways").json()["axes"][0]["key"] == "perf"  # nothing was varied yet
    changes = [{"train.learning_rate": 0.0001, "train.gamma": 0.9}, {"train.learning_rate": 0.01},
               {"train.optimizer": "adam"}, {"train.optimizer": "muon", "train.gamma": 0.999}]  # fmt: skip
    for change in changes:
        make_run({**change, "autopilot.seeds": 1}, parent=base)
    text = site.get("/search").text
    assert 'data-src="/charts/ways?group=0"' in text
    assert '<script src="/static/ways.js" defer></script>' in text
    found = site.get("/charts/ways?group=0").json()
    axes = {axis["key"]: at for at, axis in enumerate(found["axes"])}
    assert set(axes) == {"train.learning_rate", "train.gamma", "train.optimizer", "perf"}
    scores = [run["score"] for run in found["runs"]]
    assert scores == sorted(scores)  # the best is drawn last
    assert len(scores) == 1 + len(changes)
    for key in ("train.learning_rate", "train.gamma", "perf"):
        axis = found["axes"][axes[key]]
        values = [float(run["values"][axes[key]]) for run in found["runs"]]
        places = [run["at"][axes[key]] for run in found["runs"]]
        assert [value for _, value in sorted(zip(places, values, strict=True))] == sorted(values), key
        assert (min(places), max(places)) == (0, 1)
        assert (float(axis["low"]), float(axis["high"])) == (min(values), max(values)), key
    optimizer = found["axes"][axes["train.optimizer"]]
    assert (optimizer["low"], optimizer["high"]) == ("adam", "muon")
    assert site.get("/charts/ways?group=9").status_code == 404


def test_the_search_page_says_what_keys_do_once_that_can_be_said(
    site: Site, make_run: RunMaker, notebook: Notebook
) -> None:
    assert site.get("/search/effects").status_code == 404
    base = make_run({"autopilot.seeds": 5}).run_id
    assert "nothing can be said yet" in site.get("/search/effects").text
    key = "train.learning_rate"
    assert site.get("/charts/effect", params={"group": 0, "key": key}).status_code == 404
    for at in range(26):
        arm = ("race", "tpe")[at % 2]
        make_run({key: 10 ** (-4 + 2.2 * at / 25), "autopilot.seeds": 1}, parent=base, arm=arm)
    text = site.get("/search/effects").text
    assert f"<td>{key}</td>" in text
    assert f'data-src="/charts/effect?group=0&amp;key={key}"' in text
    (line,) = site.get("/charts/effect", params={"group": 0, "key": key}).json()["series"]
    assert len(line["x"]) == 12
    assert all(low < y < high for low, y, high in zip(line["low"], line["y"], line["high"], strict=True))
    assert line["y"][0] < 0 < max(line["y"])  # the smallest rate learns nothing
    assert 'data-src="/charts/arms?group=0"' in text
    assert [one["label"] for one in site.get("/charts/arms?group=0").json()["series"]] == ["race", "tpe", "together"]


def test_a_sessions_arms_are_drawn_and_told_where_there_are_several(
    site: Site, make_session: Make, make_run: RunMaker, notebook: Notebook
) -> None:
    session = make_session(seeds=1)
    session.run()
    name = session.record.session_id
    assert 'aria-label="Arms"' not in site.get(f"/sessions/{name}").text
    assert site.get(f"/charts/arms/{name}").json()["series"] == []
    base = notebook.runs()[0].run_id
    for at in range(4):
        make_run({"train.gamma": 0.8 + 0.01 * at, "autopilot.seeds": 1}, parent=base, arm="tpe", session=name)
    text = site.get(f"/sessions/{name}").text
    assert 'aria-label="Arms"' in text
    assert "<li>offline has 3 replicates: arms are compared from 4 on.</li>" in text
    chart = site.get(f"/charts/arms/{name}").json()
    assert [one["label"] for one in chart["series"]] == ["offline", "tpe", "together"]
    for one in chart["series"]:
        assert one["x"][0] == 0
        assert all(low <= y <= high for low, y, high in zip(one["low"], one["y"], one["high"], strict=True))
        assert one["names"][0] == base


@pytest.mark.parametrize(("ratio", "scale"), [(3.0, "log"), (1.2, "linear")])
def test_score_against_time_is_drawn_on_a_sessions_page(
    site: Site, make_session: Make, notebook: Notebook, ratio: float, scale: str
) -> None:
    session = make_session(seeds=1)
    name = session.record.session_id
    session.run()
    for at, run in enumerate(notebook.runs()):
        lasted(notebook, run, 4.0 * ratio**at)
    assert f'data-src="/charts/trade/{name}"' in site.get(f"/sessions/{name}").text
    chart = site.get(f"/charts/trade/{name}").json()
    assert chart["x"]["scale"] == scale
    parts = {one["label"]: one for one in chart["series"]}
    assert list(parts) == ["configs", "best for its time", "baseline, incumbent"]
    placed = {name: at for one in (parts["configs"], parts["baseline, incumbent"])
              for name, *at in zip(one["names"], one["x"], one["y"], strict=True)}  # fmt: skip
    front = parts["best for its time"]
    assert front["kind"] == "steps"
    assert front["y"] == sorted(front["y"])
    assert all(placed[run] == [x, y] for run, x, y in zip(front["names"], front["x"], front["y"], strict=True))
    assert site.get("/charts/trade/nobody").status_code == 404


def test_the_list_is_filtered_and_sorted_as_the_terminals_rows(
    site: Site, make_run: RunMaker, notebook: Notebook
) -> None:
    base = make_run()
    for rate in (0.001, 0.002, 0.003):
        make_run({"train.learning_rate": rate}, parent=base.run_id)
    other = make_run({"train.gamma": 0.9}, parent=base.run_id, fault="crash")

    def listed(query: str) -> list[str]:
        return re.findall(r'<td><a href="/runs/([\w-]+)">', site.get(f"/runs?{query}").text)

    everything = [run.run_id for run in notebook.runs()]
    assert listed("") == everything[::-1]
    assert listed("way=up") == everything
    assert listed("state=failed") == [other.run_id]
    assert listed("text=train.gamma") == [other.run_id]
    assert set(listed(f"text={base.run_id}")) == set(everything)  # itself and its children
    for query in ("text=2", "text=%232", "text=2&sort=verdict", "text=2&sort=score&way=up"):
        assert listed(query)[0] == everything[1]
    by_score = [name for name in listed("sort=score&way=down") if name != other.run_id]
    scores = [view_of(notebook, notebook.run(name)).model_dump()["score"]["mean"] for name in by_score]
    assert scores == sorted(scores, reverse=True)
    assert listed("sort=score&way=up")[-1] == other.run_id  # what has none comes last
    assert listed("page=2") == everything[::-1]  # there is but one
    assert site.get("/runs?sort=nonsense").status_code == 400
    assert "sort = nonsense" in site.get("/runs?sort=nonsense").text


def test_the_list_draws_each_run_and_orders_by_how_good_it_may_be(
    site: Site, make_run: RunMaker, notebook: Notebook
) -> None:
    base = make_run({"autopilot.seeds": 5})
    for rate in (0.00002, 0.0051, 0.01, 0.0004):
        make_run({"train.learning_rate": rate, "autopilot.seeds": 1}, parent=base.run_id)
    broken = make_run({"train.gamma": 0.9}, parent=base.run_id, fault="crash")

    def rows(query: str) -> list[str]:
        return re.split(r"<tr>\n", site.get(f"/runs?{query}").text)[1:]

    def names(query: str) -> list[str]:
        return [re.findall(r'href="/runs/([\w-]+)"', row)[0] for row in rows(query)]

    for row in rows(""):
        scored = f"/runs/{broken.run_id}" not in row
        assert ('<svg class="spread"' in row) == scored
        if scored:
            points = re.findall(r'<polyline points="([^"]+)"', row)[0].split(" ")
            assert len(points) == 24
            assert all(0 <= float(point.split(",")[1]) <= 24 for point in points)
    five = next(row for row in rows("") if f"/runs/{base.run_id}" in row)
    values = view_of(notebook, base).score.values  # type: ignore[union-attr]
    assert f"least {min(values):.3g}, first quartile" in five
    order = ["better", "first", "promising", "undecided", "no different", "hopeless", "worse", ""]
    judged = [view_of(notebook, notebook.run(name)).judged for name in names("sort=verdict")]
    kinds = [next(word for word in order if one.startswith(word)) for one in judged]
    assert kinds == sorted(kinds, key=order.index)
    assert {"first", "hopeless"} < set(kinds)
    assert names("sort=verdict&way=up")[-1] == broken.run_id  # what has none comes last either way
    worst = [
        min(row.score.values) for name in names("sort=worst") if (row := view_of(notebook, notebook.run(name))).score
    ]
    assert worst == sorted(worst, reverse=True)
    assert names("sort=worst&way=up")[:1] == names("sort=worst")[-2:-1]


def test_the_list_is_sorted_and_filtered_by_what_it_shows(site: Site, make_run: RunMaker, notebook: Notebook) -> None:
    base = make_run({"autopilot.seeds": 5})
    worse, best = (make_run({"train.learning_rate": rate}, parent=base.run_id) for rate in (0.00002, 0.008))
    opened = Confirmation(
        time=now(), candidate=best.run_id, incumbent=base.run_id, outcome="opened", why="", level=0.01, min_effect=0.0,
        group=5, looks=1, metric="perf", session=None,
    )  # fmt: skip
    append_line(notebook.workspace.confirmations, opened.model_dump(mode="json"))
    seeds = make_run({"train.learning_rate": 0.00001}, replicates_of=best.run_id, replicates=5)
    ended = {"time": now(), "outcome": "dropped", "seeds": 5, "effect": 0.1, "low": -0.1, "high": 0.3}
    lost = opened.model_copy(update={**ended, "runs": (seeds.run_id,)})
    append_line(notebook.workspace.confirmations, lost.model_dump(mode="json"))

    def listed(query: str) -> list[str]:
        return re.findall(r'<td><a href="/runs/([\w-]+)">', site.get(f"/runs?{query}").text)

    shown = {run.run_id: view_of(notebook, run) for run in (base, worse, best, seeds)}
    assert shown[best.run_id].fresh
    page = site.get(f"/runs/{best.run_id}").text  # whose tables are of the run alone, and say so
    assert re.search(r'<p class="quiet">Of its own .* on 5 fresh seeds perf is [\d.]+\.</p>', page)
    family = page.partition('<section id="family">')[2].partition("</section>")[0]  # a race trains more seeds too
    assert re.search(rf"<td>more seeds</td><td>.*{seeds.run_id}", family)
    assert "fresh seeds" not in family
    for sort, figure in {
        "score": lambda score: score.value,
        "worst": lambda score: min(score.values),
        "n": lambda score: score.n,
    }.items():
        figures = [figure(shown[name].score) for name in listed(f"sort={sort}")]
        assert figures == sorted(figures, reverse=True), sort
    assert listed("verdict=not+proven+better") == [best.run_id]
    word = next(word for word in ORDER if shown[worse.run_id].judged.startswith(word))
    assert worse.run_id in listed(f"verdict={word.replace(' ', '+')}")
    assert "<option>promising</option>" in site.get("/runs").text


def test_a_row_has_all_seeds_of_its_config(site: Site, make_run: RunMaker, notebook: Notebook, cli: Cli) -> None:
    base = make_run({"autopilot.seeds": 3})
    lucky = make_run({"train.learning_rate": 0.008}, parent=base.run_id)
    other = make_run({"train.learning_rate": 0.0079}, parent=base.run_id)
    more = [make_run({"train.learning_rate": 0.00001}, replicates_of=lucky.run_id) for _ in range(2)]  # it collapses
    values = [value for run in (lucky, *more) for value in notebook.values(run.run_id, "perf")]
    row = view_of(notebook, lucky, whole=True)
    assert row.score is not None
    assert list(row.score.values) == values
    assert view_of(notebook, lucky).scored.endswith("(n=3)"), "what a model reads is the run's own"
    by_score = re.findall(r'<td><a href="/runs/([\w-]+)">', site.get("/runs?sort=score").text)
    assert by_score.index(other.run_id) < by_score.index(lucky.run_id)
    rows = {one["run_id"]: one for one in json.loads(cli("runs", "--json").out)}
    assert rows[lucky.run_id]["score"]["n"] == len(values)
    told = json.loads(cli("compare", lucky.run_id, base.run_id, "--json").out)
    assert told["n"] == [len(values), 3]
    page = site.get("/compare", params={"run": [base.run_id, lucky.run_id]}).text
    assert f"n = {len(values)}" in page.partition('aria-label="Metrics"')[2]


def test_the_list_finds_runs_by_what_people_call_them(site: Site, make_run: RunMaker, notebook: Notebook) -> None:
    base = make_run()
    child = make_run({"train.learning_rate": 0.002}, parent=base.run_id)
    other = make_run({"train.gamma": 0.9}, parent=base.run_id)
    give_name(notebook, child.run_id, "Steady one", ("keep",))

    def found(text: str) -> list[str]:
        return re.findall(r'<td><a href="/runs/([\w-]+)">', site.get("/runs", params={"text": text}).text)

    assert found("incumbent") == found("Baseline") == [base.run_id]
    assert found("latest") == [other.run_id]
    assert found("leader") == []  # nobody has searched
    assert found("steady") == found("keep") == [child.run_id]
    assert found("gamma") == [other.run_id]


def test_part_of_an_id_leads_to_the_page(site: Site, make_session: Make, propose: Any) -> None:
    proposal, name = propose(), make_session().run().session_id
    for kind, whole in (("sessions", name), ("proposals", proposal.proposal_id)):
        answer = site.get(f"/{kind}/{whole[-6:]}")
        assert (answer.status_code, answer.headers.get("location")) == (303, f"/{kind}/{whole}")
        assert site.get(f"/{kind}/{whole}").status_code == 200
        assert site.get(f"/{kind}/nothing-of-it").status_code == 404


def test_approve_and_history(site: Site, propose: Any, proposals: Proposals) -> None:
    proposal = propose({"train.ent_coef": 0.02})
    here = f"/proposals/{proposal.proposal_id}"
    form = site.form(here)
    answer = site.post(f"{here}/approve", form)
    assert (answer.status_code, answer.headers["location"]) == (303, here)
    made = proposals.get(proposal.proposal_id).decisions[-1]
    assert (made.state, made.who, made.seen, made.overrides) == (
        S.APPROVED, "person ada, web", proposal.version, {"train.ent_coef": 0.02},
    )  # fmt: skip
    assert "by person ada, web" in site.get(here).text
    assert "person ada, web" in site.get("/proposals").text
    again = site.post(f"{here}/reject", {**form, "why": "I changed my mind"})
    assert again.status_code == 409
    assert "is not what it was when you looked" in again.text
    assert proposals.get(proposal.proposal_id).state is S.APPROVED


def test_a_proposals_page_leads_to_the_next_that_waits(site: Site, propose: Any, proposals: Proposals) -> None:
    made = list[str]()
    for gamma in (0.91, 0.92, 0.93):
        made.append(propose({"train.gamma": gamma}).proposal_id)
        proposals.decide(made[-1], S.STAGED, "policy", "left to a person")  # else the next takes its place
    first, second, third = made

    def leads_to(proposal_id: str) -> list[str]:
        return re.findall(r'rel="next" href="/proposals/([^"]+)">([^<]+)<', site.get(f"/proposals/{proposal_id}").text)

    several = "The next of 2 more that wait for you"
    assert [leads_to(one) for one in (first, second, third)] == [[(to, several)] for to in (second, third, first)]
    site.post(f"/proposals/{second}/approve", site.form(f"/proposals/{second}"))
    assert leads_to(second) == [(third, several)]
    assert leads_to(third) == [(first, "One more waits for you")]
    site.post(f"/proposals/{third}/reject", {**site.form(f"/proposals/{third}"), "why": "no"})
    assert leads_to(first) == []


def test_reject_wants_a_reason(site: Site, propose: Any, proposals: Proposals) -> None:
    proposal = propose()
    here = f"/proposals/{proposal.proposal_id}"
    assert site.post(f"{here}/reject", {**site.form(here), "why": "  "}).status_code == 409
    assert proposals.get(proposal.proposal_id) == proposal
    assert site.post(f"{here}/reject", {**site.form(here), "why": "too <b>large</b>"}).status_code == 303
    assert proposals.get(proposal.proposal_id).decisions[-1].why == "too <b>large</b>"
    assert "too &lt;b&gt;large&lt;/b&gt;" in site.get(here).text


def test_edit_with_live_validation(site: Site, propose: Any, proposals: Proposals) -> None:
    proposal = propose({"train.ent_coef": 0.02, "train.optimizer": "muon"})
    here = f"/proposals/{proposal.proposal_id}"
    form = {**site.form(here), "value.train.ent_coef": "0.02", "value.train.optimizer": '"muon"', "more": ""}
    checked = site.post(f"{here}/check", {**form, "value.train.ent_coef": "7"})
    assert "train.ent_coef = 7: must be from 0 to 1; valid: 0 to 1, such as 1" in checked.text
    assert "Valid:" not in checked.text
    checked = site.post(f"{here}/check", {**form, "value.train.ent_coef": "0.03", "more": "train.gamma=0.97"})
    assert "train.ent_coef 0.001 → 0.03, train.optimizer adam → muon, train.gamma 0.95 → 0.97" in checked.text
    checked = site.post(f"{here}/check", {**form, "more": "train.total_timesteps=4M\ntrain.adam_beta2=0.9"})
    assert "train.adam_beta2 has no effect with train.optimizer = muon" in checked.text
    assert "Note: train.total_timesteps = 4,000,000 in the place of 2,000,000: a comparison" in checked.text
    assert "Note: " not in site.get(here).text
    assert proposals.all() == [proposal]  # a check changes nothing
    bad = site.post(f"{here}/edit", {**form, "more": "train.gamma"})
    assert bad.status_code == 409
    assert "is not KEY=VALUE" in bad.text
    done = site.post(f"{here}/edit", {**form, "value.train.ent_coef": "0.03", "approve": "yes"})
    assert done.status_code == 303
    new = proposals.get(done.headers["location"].rpartition("/")[2])
    assert (
        "Note: nothing trains it until a session of puffer_cartpole, quick, perf:max begins"
        in site.get(f"/proposals/{new.proposal_id}").text
    )
    assert "nothing trains it until a session" in site.get("/proposals").text
    assert (new.state, new.overrides) == (S.APPROVED, {"train.ent_coef": 0.03, "train.optimizer": "muon"})
    assert proposals.get(proposal.proposal_id).state is S.SUPERSEDED


def test_two_people_who_have_seen_the_same_page(
    site: Site, propose: Any, proposals: Proposals, notebook: Notebook, inventory: Inventory
) -> None:
    proposal = propose()
    here = f"/proposals/{proposal.proposal_id}"
    form = site.form(here)
    decisions.approve(Lab(notebook, inventory), proposal, "person bob")
    answer = site.post(f"{here}/approve", form)
    assert answer.status_code == 409
    assert "by person bob; look again" in answer.text
    assert len(proposals.get(proposal.proposal_id).decisions) == 2


@pytest.mark.parametrize(
    ("headers", "fields"),
    [
        ({"Origin": "http://evil.example"}, {}), ({"Origin": "null"}, {}), ({"Sec-Fetch-Site": "cross-site"}, {}),
        ({"Sec-Fetch-Site": "same-site"}, {}), ({"Host": "evil.example"}, {}), ({}, {"csrf": "0" * 64}),
        ({}, {"csrf": ""}), ({"Cookie": ""}, {}), ({"Cookie": "autopilot-1=forged.00"}, {}),
    ],
)  # fmt: skip
def test_nobody_else_changes_anything(
    site: Site, propose: Any, proposals: Proposals, headers: dict[str, str], fields: dict[str, str]
) -> None:
    proposal = propose()
    here = f"/proposals/{proposal.proposal_id}"
    form = {**site.form(here), **fields}
    if "Cookie" in headers:
        site.client.cookies.clear()
    answer = site.post(f"{here}/approve", form, headers={k: v for k, v in headers.items() if v})
    assert answer.status_code in (403, 409, 421, 400)
    assert proposals.all() == [proposal]


def test_a_form_without_an_origin_is_refused(site: Site, propose: Any, proposals: Proposals) -> None:
    proposal = propose()
    here = f"/proposals/{proposal.proposal_id}"
    assert site.client.post(f"{here}/approve", data=site.form(here)).status_code == 403
    assert site.client.put(here, headers={"Origin": site.url}).status_code == 405
    assert proposals.all() == [proposal]


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.nip.io", "10.0.0.1", "localhost:1", "", "[::1"]
)
def test_other_hosts_are_refused(site: Site, host: str) -> None:
    assert site.get("/", headers={"Host": host}).status_code in (400, 421)


def test_the_machines_own_names_are_answered(site: Site) -> None:
    for host in (f"localhost:{site.guard.port}", f"127.0.0.1:{site.guard.port}", f"[::1]:{site.guard.port}"):
        assert site.get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "path",
    ["/runs/..%2f..%2fetc", "/runs/sessions", "/runs/%2e%2e", "/runs/x/pictures/..%2frun.png", "/runs/README.md",
     "/sessions/..%2f..", "/proposals/..%2fnext_config", "/proposals/next_config", "/static/../app.py",
     "/static/..%2fapp.py", "/runs/index.sqlite", "/charts/run/..%2f..", "/runs/a/log/1", "/runs/%00"],
)  # fmt: skip
def test_no_path_leads_outside(site: Site, path: str, make_run: RunMaker) -> None:
    make_run()
    answer = httpx.Client(base_url=site.url).get(path)
    assert answer.status_code in (400, 404, 500), path
    assert "Traceback" not in answer.text
    assert "import" not in answer.text


def test_a_film_is_served_as_what_it_is(site: Site, make_run: RunMaker, notebook: Notebook) -> None:
    run = make_run()
    path = notebook.paths(run.run_id).film("best")
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"film")
    answer = site.get(f"/runs/{run.run_id}/pictures/best_replicate.webp")
    assert (answer.headers["content-type"], answer.content) == ("image/webp", b"film")
    assert site.get(f"/runs/{run.run_id}/pictures/best_replicate.png").status_code == 404


def test_a_picture_that_leads_elsewhere_is_not_shown(
    site: Site, make_run: RunMaker, notebook: Notebook, tmp_path: Path
) -> None:
    run = make_run()
    (secret := tmp_path / "secret.png").write_bytes(b"secret")
    plots = notebook.paths(run.run_id).plots
    plots.mkdir(exist_ok=True)
    (plots / "stolen.png").symlink_to(secret)
    assert site.get(f"/runs/{run.run_id}/pictures/stolen.png").status_code == 404


def test_no_file_that_leads_elsewhere_is_shown(
    site: Site, make_run: RunMaker, notebook: Notebook, tmp_path: Path
) -> None:
    run = make_run()
    (secret := tmp_path / "secret").write_text("root:x:0:0")
    paths, seed = notebook.paths(run.run_id), run.seeds[0]
    for path in (paths.report, paths.transcript, paths.seed(seed).log):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.symlink_to(secret)
    for below in ("", "/transcript", f"/log/{seed}"):
        assert "root:x" not in site.get(f"/runs/{run.run_id}{below}").text


def test_a_report_that_was_changed_says_so(site: Site, make_session: Make, notebook: Notebook) -> None:
    make_session(seeds=2).run()
    last = notebook.runs()[-1].run_id
    assert "was changed after it was written" not in site.get(f"/runs/{last}").text
    report = notebook.paths(last).report
    score = f"{notebook.summary(last).metrics['perf'].mean:.4g}"  # type: ignore[union-attr]
    report.write_text(report.read_text().replace(f"perf is {score}", "perf is 0.9876"))
    assert "was changed after it was written" in site.get(f"/runs/{last}").text


def test_a_lost_verdict_is_not_a_run_without_a_score(site: Site, make_run: RunMaker, notebook: Notebook) -> None:
    run = make_run()
    notebook.workspace.verdicts.unlink()
    page = site.get(f"/runs/{run.run_id}").text
    assert "none on record" in page
    assert "has no score" not in page


def test_ids_lead_to_what_has_them(site: Site, propose: Any) -> None:
    first, second = propose(), propose({"train.gamma": 0.9})
    assert f'href="/find/{second.proposal_id}"' in site.get(f"/proposals/{first.proposal_id}").text
    assert site.get(f"/find/{second.proposal_id}").headers["location"] == f"/proposals/{second.proposal_id}"
    assert site.get(f"/find/{first.parent}").headers["location"] == f"/runs/{first.parent}"
    for called in ("1", "%231", "latest", "incumbent", first.parent[-4:]):
        assert site.get(f"/runs/{called}").headers["location"] == f"/runs/{first.parent}"
    assert site.get("/runs/2").status_code == 404
    back = site.get(f"/proposals/{first.proposal_id}/approve")
    assert back.headers["location"] == f"/proposals/{first.proposal_id}"


def test_groups_that_are_not_there(site: Site, make_run: RunMaker) -> None:
    make_run()
    for path in ("/search?group=9", "/lessons?group=9"):
        assert site.get(path).status_code == 404
        assert "nothing can be said yet: 1 config with a score" in site.get("/lessons").text


def test_compare_without_a_second_run_takes_the_incumbent(site: Site, make_run: RunMaker) -> None:
    assert "no runs yet" in site.get("/compare").text
    one = make_run().run_id
    assert "is the incumbent itself" in site.get("/compare").text
    two, three = (make_run({"train.gamma": gamma}, parent=one).run_id for gamma in (0.9, 0.91))

    def compared(query: str) -> list[str]:
        text = site.get(f"/compare{query}").text
        found = re.findall(r'data-src="/charts/compare\?([^"]+)"', text)[0]
        assert text.index("data-src") < text.index("<table")  # curves first
        return re.findall(r"run=([\w-]+)", found)

    assert compared("") == [one, three]
    assert compared(f"?run={two}") == compared(f"?run={two}&run={two}") == [one, two]
    assert compared(f"?run={two}&run={three}") == [two, three]
    many = "&".join(f"run={make_run({'train.gamma': 0.5 + at / 100}, parent=one).run_id}" for at in range(7))
    assert "and this names 7" in site.get(f"/compare?{many}").text


def test_a_key_is_given_once(site: Site, propose: Any) -> None:
    here = f"/proposals/{propose({'train.ent_coef': 0.02}).proposal_id}"
    form = {**site.form(here), "value.train.ent_coef": "0.03", "more": "train.ent_coef=0.04"}
    assert "is given more than once" in site.post(f"{here}/check", form).text


def test_several_proposals_are_decided_at_once(site: Site, propose: Any, proposals: Proposals) -> None:
    made = [propose({"train.gamma": 0.9}).proposal_id]
    assert 'id="several"' not in site.get("/proposals").text  # of one, its own buttons do
    for gamma in (0.91, 0.92, 0.93):
        proposals.decide(made[-1], S.STAGED, "policy", "left to a person")  # else the next takes its place
        made.append(propose({"train.gamma": gamma}).proposal_id)
    ticks = dict(re.findall(r'name="(tick\.[^"]+)" value="(\w+)"', site.get("/proposals").text))
    assert ticks == {f"tick.{name}": proposals.get(name).version for name in made}
    form = {"csrf": site.form("/proposals")["csrf"]}

    def decide(*names: str, **more: str) -> httpx.Response:
        return site.post("/proposals", {**form, **{f"tick.{name}": ticks[f"tick.{name}"] for name in names}, **more})

    def states() -> list[S]:
        return [proposals.get(name).state for name in made]

    assert "nothing was ticked" in decide(decide="approve").text
    assert site.post("/proposals", {**form, "csrf": "0" * 64, "decide": "approve"}).status_code == 400
    answer = decide(made[0], made[1], decide="approve")
    assert (answer.status_code, answer.headers["location"]) == (303, "/proposals")
    assert states() == [S.APPROVED, S.APPROVED, S.STAGED, S.STAGED]
    again = decide(made[2], decide="reject", why=" ").text
    assert "must say something" in again
    assert re.findall(r'name="tick\.([^"]+)" value="\w+" checked', again) == [made[2]]
    answer = decide(made[1], made[2], decide="reject", why="tried before")  # one of them was approved meanwhile
    assert answer.status_code == 409
    assert answer.text.count("Not done:") == 1
    assert states() == [S.APPROVED, S.APPROVED, S.REJECTED, S.STAGED]
    assert proposals.get(made[2]).decisions[-1].why == "tried before"


def test_a_transcript_is_folded_by_turns(site: Site, make_session: Make, notebook: Notebook) -> None:
    make_session(seeds=1).run()
    (run, *_) = [one for one in notebook.runs() if notebook.paths(one.run_id).transcript.exists()]
    said = [line for line in read_lines(notebook.paths(run.run_id).transcript) if line.get("role") == "assistant"]
    text = site.get(f"/runs/{run.run_id}/transcript").text
    titles = re.findall(r"<summary>(.*?)</summary>", text)
    assert titles[0] == "What the model was told"
    assert len(titles) == 1 + len(said)
    calls = [call["name"] for line in said for call in line.get("tool_calls") or ()]
    assert re.findall(r"calls (\w+)", " ".join(titles)) == calls
    assert len(re.findall(r'<details class="turn" open>', text)) == 1


def test_large_bodies_are_refused(site: Site, propose: Any) -> None:
    here = f"/proposals/{propose().proposal_id}"
    answer = site.post(f"{here}/check", {**site.form(here), "more": "x" * 100_000})
    assert answer.status_code == 413


def test_from_elsewhere_only_with_the_token(serve: Serve) -> None:
    site = serve(host="0.0.0.0", token="a-token-of-my-own")  # noqa: S104, S106 - what is tested
    bare = httpx.Client(base_url=site.url)
    assert bare.get("/").status_code == 401
    assert bare.get("/runs").status_code == 401
    assert bare.get("/static/page.js").status_code == 401
    assert bare.get("/?token=a-token-of-my-owm").status_code == 401
    forged = httpx.Client(base_url=site.url, cookies={site.guard.cookie: "0" * 32 + "." + "0" * 32})
    assert forged.get("/").status_code == 401
    first = bare.get("/runs?token=a-token-of-my-own")
    assert (first.status_code, first.headers["location"]) == (303, "/runs")
    assert "httponly" in first.headers["set-cookie"].lower()
    assert "samesite=strict" in first.headers["set-cookie"].lower()
    assert bare.get("/runs").status_code == 200
    assert bare.get("/", headers={"Host": "evil.example"}).status_code == 421


def test_a_token_is_made_where_one_is_needed(serve: Serve) -> None:
    site = serve(host="0.0.0.0")  # noqa: S104 - what is tested
    assert len(site.guard.token) >= 32
    assert httpx.get(site.url).status_code == 401


def test_damaged_files_are_said_and_passed_over(
    site: Site, make_run: RunMaker, notebook: Notebook, propose: Any
) -> None:
    proposal, run = propose(), make_run()
    notebook.paths(run.run_id).run.write_text("{")
    notebook.workspace.proposal(proposal.proposal_id).write_text('{"half": ')
    assert run.run_id in site.get("/runs").text
    assert "passed over" in site.get("/runs").text
    assert site.get(f"/runs/{run.run_id}").status_code == 404
    assert "passed over" in site.get("/proposals").text
    assert site.get("/live").status_code == 200


def test_a_proposal_changed_by_hand_is_shown_as_it_is_now(site: Site, propose: Any, notebook: Notebook) -> None:
    proposal = propose()
    here = f"/proposals/{proposal.proposal_id}"
    form = site.form(here)
    changed = proposal.model_copy(update={"overrides": {"train.gamma": 0.5}})
    write_model(notebook.workspace.proposal(proposal.proposal_id), changed)
    answer = site.post(f"{here}/approve", form)
    assert answer.status_code == 409
    assert "train.gamma" in answer.text


def test_json_and_page_say_the_same(site: Site, make_session: Make, notebook: Notebook) -> None:
    make_session(seeds=2).run()
    page = site.get("/runs").text
    for run in notebook.runs():
        row = view_of(notebook, run).model_dump()
        for said in (row["run_id"], row["state"], row["arm"], row["changed"], row["verdict"] or ""):
            assert said.replace(">", "&gt;") in page
        assert json.dumps(row)


@pytest.mark.parametrize("name", ["run.json", "config.json", "trainer_summary.json"])
def test_a_damaged_run_stands_in_nobodys_way(
    site: Site, propose: Any, make_run: RunMaker, notebook: Notebook, name: str
) -> None:
    parent = notebook.runs()[0]
    child = make_run({"train.gamma": 0.9}, parent=parent.run_id)
    led = make_run({"train.gamma": 0.8}, parent=parent.run_id)
    proposal = propose(analysed=led.run_id)
    for broken in (led.run_id, parent.run_id):
        (notebook.paths(broken).dir / name).write_text("")
        for path in ("/proposals", f"/proposals/{proposal.proposal_id}", f"/runs/{child.run_id}",
                     f"/charts/run/{child.run_id}"):  # fmt: skip
            assert site.get(path).status_code == 200, path
        shown = site.get(f"/proposals/{proposal.proposal_id}").text
        assert ("can&#39;t be read" in shown) == (name != "config.json" or broken == parent.run_id)
        own = site.get(f"/runs/{broken}")
        assert own.status_code == 404
        assert name in own.text


def test_what_cant_be_approved_has_no_button_for_it(
    site: Site, propose: Any, make_run: RunMaker, notebook: Notebook
) -> None:
    parent = make_run()
    here = propose({"train.gamma": 0.91}, parent=parent.run_id).proposal_id
    assert 'class="yes">Approve<' in site.get("/decide").text
    shutil.rmtree(notebook.paths(parent.run_id).dir)
    for path in ("/decide", "/proposals", f"/proposals/{here}"):
        shown = site.get(path).text
        assert 'class="yes">Approve<' not in shown, path
        assert "It can't be approved" in shown, path
        assert 'class="no">Reject<' in shown, path


def test_a_proposal_whose_run_was_interrupted_says_so(
    site: Site, propose: Any, proposals: Proposals, notebook: Notebook, config: Config, cli: Cli
) -> None:
    proposal = propose()
    run = create_run(notebook, config, {}, preset="quick", objective="perf:max", arm="offline")
    notebook.update(run.run_id, state=RunState.RUNNING)  # and nobody trains it
    for state in (S.APPROVED, S.RUNNING):
        proposals.decide(proposal.proposal_id, state, "policy", run_id=run.run_id if state is S.RUNNING else None)
    assert [row["state"] for row in cli("proposals", "--json").json()] == ["interrupted"]
    assert re.search(rf"{proposal.proposal_id} +interrupted", cli("proposals").out)
    for path in ("/proposals", f"/proposals/{proposal.proposal_id}"):
        assert "interrupted" in site.get(path).text
    notebook.fail(run.run_id, RunState.KILLED, "made up")
    assert [row["state"] for row in cli("proposals", "--json").json()] == ["running"]


def test_notes_and_comments_from_the_page(site: Site, propose: Any, notebook: Notebook) -> None:
    proposal = propose()
    run = notebook.runs()[0].run_id
    signed = {"csrf": site.form("/notes")["csrf"]}
    assert "None yet." in site.get("/notes").text
    answer = site.post("/notes", {**signed, "text": "Never touch <b>gamma</b>."})
    assert (answer.status_code, answer.headers["location"]) == (303, "/notes")
    assert "Never touch &lt;b&gt;gamma&lt;/b&gt;." in site.get("/notes").text
    assert notebook.workspace.notes.read_text().endswith("UTC: Never touch <b>gamma</b>.\n")
    for kind, about in (("runs", run), ("proposals", proposal.proposal_id)):
        answer = site.post(f"/comments/{kind}/{about}", {**signed, "text": "look at the second seed"})
        assert answer.headers["location"] == f"/{kind}/{about}#comments"
        assert "person ada, web: look at the second seed" in site.get(f"/{kind}/{about}").text
    assert [one.about for one in comments_in(notebook.workspace)] == [run, proposal.proposal_id]
    assert site.post("/notes", {"csrf": "0" * 64, "text": "forged"}).status_code == 400
    assert site.post("/notes", {**signed, "text": " "}).status_code == 400
    assert site.post("/comments/runs/no-such-run", {**signed, "text": "hello"}).status_code == 404
    assert site.post("/comments/runs/..%2Fx", {**signed, "text": "hello"}).status_code == 404
    assert "forged" not in site.get("/notes").text
