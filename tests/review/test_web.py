"""The page over real HTTP: what it shows is the record, and only its own forms change anything."""

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from lab.base.files import write_model
from lab.space.config import Config
from lab.space.inventory import Inventory
from lab.store.creation import create_run
from lab.store.lab import Lab
from lab.store.notebook import Notebook
from lab.store.notes import comments_in
from lab.store.proposal import ProposalState as S
from lab.store.proposals import Proposals
from lab.store.records import RunState
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
    by_score = [name for name in listed("sort=score&way=down") if name != other.run_id]
    scores = [view_of(notebook, notebook.run(name)).model_dump()["score"]["mean"] for name in by_score]
    assert scores == sorted(scores, reverse=True)
    assert listed("sort=score&way=up")[-1] == other.run_id  # what has none comes last
    assert listed("page=2") == everything[::-1]  # there is but one
    assert site.get("/runs?sort=nonsense").status_code == 400
    assert "sort = nonsense" in site.get("/runs?sort=nonsense").text


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
    assert "train.ent_coef = 7: must be from 0 to 1; valid: 1" in checked.text
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
    back = site.get(f"/proposals/{first.proposal_id}/approve")
    assert back.headers["location"] == f"/proposals/{first.proposal_id}"


def test_groups_that_are_not_there(site: Site, make_run: RunMaker) -> None:
    make_run()
    for path in ("/search?group=9", "/lessons?group=9"):
        assert site.get(path).status_code == 404
        assert "nothing can be said yet: 1 config with a score" in site.get("/lessons").text


def test_compare_says_how_many(site: Site, make_run: RunMaker) -> None:
    one, two = make_run().run_id, make_run({"train.gamma": 0.9}).run_id
    said = site.get(f"/compare?run={one}&run={one}").text
    assert "two to 6 different runs can be compared, and this names only one" in said
    assert "names none" in site.get("/compare").text
    assert site.get(f"/compare?run={one}&run={two}").status_code == 200


def test_a_key_is_given_once(site: Site, propose: Any) -> None:
    here = f"/proposals/{propose({'train.ent_coef': 0.02}).proposal_id}"
    form = {**site.form(here), "value.train.ent_coef": "0.03", "more": "train.ent_coef=0.04"}
    assert "is given more than once" in site.post(f"{here}/check", form).text


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
