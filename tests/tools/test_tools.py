"""The tools as a model meets them: schemas, answers, refusals, bounds."""

import json
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab.base.files import append_line, write_model
from lab.space.inventory import Inventory
from lab.space.validate import space_of
from lab.store.lab import Lab
from lab.store.notebook import Notebook
from lab.store.proposal import ProposalState
from lab.store.proposals import Proposals
from lab.store.records import RunRecord, RunState
from lab.store.tried import twin_of
from tests.conftest import ENV, RunMaker, tree
from tools.catalog import TOOLS
from tools.context import ToolContext
from tools.registry import MAX_CHARS, Toolbox


class Bench:
    """A toolbox and the context behind it."""

    def __init__(self, notebook: Notebook, inventory: Inventory, subject: RunRecord) -> None:
        self.context = ToolContext(
            Lab(notebook, inventory), subject, None, "scripted",
            incumbent=notebook.incumbent(subject.group),
        )  # fmt: skip
        self.toolbox = Toolbox(TOOLS, self.context)

    def __call__(self, tool: str, **arguments: Any) -> dict[str, Any]:
        answer = self.toolbox.call(tool, json.dumps(arguments))
        assert answer.ok, answer.content
        return json.loads(answer.content)  # type: ignore[no-any-return]

    def refused(self, tool: str, **arguments: Any) -> str:
        answer = self.toolbox.call(tool, json.dumps(arguments))
        assert not answer.ok, answer.content
        return str(json.loads(answer.content)["error"])


EXPECTED = {"direction": "up", "low": 0.5, "high": 0.9, "coverage": 0.8}
PROPOSAL: dict[str, Any] = {
    "changes": {"train.ent_coef": 0.02},
    "theory": "More exploration should help here.",
    "expected": EXPECTED,
}


@pytest.fixture
def bench(make_run: RunMaker, notebook: Notebook, inventory: Inventory) -> Bench:
    baseline = make_run()
    return Bench(notebook, inventory, make_run({"train.learning_rate": 0.01}, parent=baseline.run_id))


def test_schemas_are_what_the_api_wants(bench: Bench) -> None:
    for tool in TOOLS:
        schema = tool.schema(bench.context)["function"]
        assert schema["description"]
        assert schema["parameters"]["type"] == "object"
        assert "additionalProperties" not in schema["parameters"]  # what is not there is refused, and need not be said
        json.dumps(schema)


def test_a_model_sees_the_keys_and_ranges_that_are_valid_here(bench: Bench, inventory: Inventory) -> None:
    seen = {schema["function"]["name"]: schema["function"]["parameters"] for schema in bench.toolbox.schemas}
    keys = seen["stage_proposal"]["properties"]["changes"]["properties"]
    space = space_of(inventory.environment(ENV))
    assert set(keys) == {key for key, parameter in space.items() if parameter.proposable}
    assert keys["train.gamma"] == {"type": "number", "minimum": 0, "maximum": 1}
    assert keys["train.update_epochs"] == {"type": "integer", "minimum": 1}
    assert keys["train.optimizer"]["enum"] == ["muon", "adam"]
    low = seen["stage_proposal"]["properties"]["expected"]["properties"]["low"]
    assert (low["minimum"], low["maximum"]) == (0, 1)  # the objective, perf, is a share
    metrics = seen["stage_proposal"]["properties"]["also_expected"]["items"]["properties"]["metric"]["enum"]
    assert "perf" not in metrics
    assert "agent_steps" in metrics
    assert sum("train.gamma" in json.dumps(parameters) for parameters in seen.values()) == 1  # once, in one tool
    assert "train.seed" not in keys


def test_no_tool_approves_or_leaves_the_workspace() -> None:
    names = {tool.name for tool in TOOLS}
    assert not {name for name in names if any(word in name for word in ("approve", "shell", "exec", "file", "delete"))}


def test_list_runs_tells_scores_changes_and_noise(bench: Bench, notebook: Notebook) -> None:
    found = bench("list_runs")
    assert found["objective"] == {"metric": "perf", "direction": "max", "rate": True}
    assert found["under_analysis"] == notebook.runs()[-1].run_id
    assert found["runs"][1]["changed_from_parent"] == {"train.learning_rate": [0.005, 0.01]}
    assert found["noise_floor"]["degrees_of_freedom"] == 2
    latest = bench("list_runs", limit=1)
    assert [row["run"] for row in latest["runs"]] == [latest["incumbent"], notebook.runs()[-1].run_id]
    assert latest["left_out_older"] == 0


def test_a_run_can_be_named_by_its_role(bench: Bench, notebook: Notebook) -> None:
    baseline, current = notebook.runs()
    assert bench("read_run")["run"] == current.run_id
    assert bench("read_run", run="parent")["run"] == baseline.run_id
    assert bench("read_run", run=baseline.run_id)["verdict"]["verdict"] == "first"


def test_curves_are_bounded_and_name_what_there_is(bench: Bench) -> None:
    names = bench("read_metrics")["names"]
    assert {"environment/perf", "losses/entropy"} <= set(names)
    curve = bench("read_metrics", metrics=["environment/perf"], points=7)["curves"]["environment/perf"]
    assert len(curve["points"]) == 7
    assert curve["replicates"] == 2
    assert curve["max"]["value"] >= curve["quarter_means"][3] >= curve["quarter_means"][0]
    assert "environment/perf" in bench.refused("read_metrics", metrics=["environment/nonsense"])


def test_a_log_is_bounded_searched_and_stripped(bench: Bench, notebook: Notebook) -> None:
    run = notebook.runs()[-1]
    log = notebook.workspace.run(run.run_id).seed(run.seeds[0]).log
    log.write_text("".join(f"line {n} \x1b[31mred\x1b[0m\x07\n" for n in range(500)) + "x" * 5000 + "\nlast 499\n")
    found = bench("read_log", lines=5, containing="line 4")
    assert found["lines"] == [f"line {n} red" for n in range(495, 500)]
    assert found["left_out_earlier"] == 111 - 5
    assert len(bench("read_log", lines=2)["lines"][0]) == 300
    assert "has no seed" in bench.refused("read_log", seed=99)


def test_compare_tells_the_verdict_and_what_changed(bench: Bench) -> None:
    found = bench("compare_runs", against="parent")
    assert found["verdict"] in ("better", "worse", "inconclusive")
    assert found["changed"] == {"train.learning_rate": [0.005, 0.01]}
    assert found["means"]["perf"]["run"] is not None
    assert "same run" in bench.refused("compare_runs", run="current", against="current")


def test_suggestions_are_valid_and_say_what_is_expected(bench: Bench, notebook: Notebook) -> None:
    found = bench("suggest_configs", count=8)
    assert len(found["candidates"]) == 8
    assert found["leader"].keys() == {"run", "believed", "replicates"}
    assert found["leader"]["run"] in {run.run_id for run in notebook.runs()}
    base = notebook.config(found["parent"])
    assert found["parent_values"] == [base.get(key) for key in found["keys"]]
    for candidate in found["candidates"]:
        assert len(candidate["changes"]) > 2  # all keys at once
        assert set(candidate["changes"]) <= set(found["keys"])
        assert bench("check_config", changes=candidate["changes"])["valid"]
        expected = candidate["expected"]
        assert 0 <= expected["low"] < expected["mean"] < expected["high"] <= 1  # perf is a share


def test_suggestions_come_with_all_that_the_optimizer_knows(bench: Bench, make_run: RunMaker) -> None:
    for _ in range(9):
        make_run(bench("suggest_configs", count=1)["candidates"][0]["changes"], parent=bench.context.incumbent)
    answer = bench.toolbox.call("suggest_configs", json.dumps({"count": 12})).content
    assert len(answer) < 20_000  # characters, of which a token has two at least
    found = json.loads(answer)
    keys = found["keys"]
    assert len(found["best"]) == 5
    assert [one["believed"] for one in found["best"]] == sorted(
        (one["believed"] for one in found["best"]), reverse=True
    )
    assert found["best"][0]["run"] == found["leader"]["run"]
    assert all(len(one["values"]) == len(keys) for one in found["best"])
    assert all(one["sd"] > 0 and one["n"] == 2 for one in found["best"])
    rows = zip(found["mean_of_best"], found["spread_of_best"], found["scales"], strict=True)
    assert len(found["scales"]) == len(keys)
    for at, (mean, spread, scale) in enumerate(rows):
        values = [one["values"][at] for one in found["best"]]
        if scale == "choice":
            assert mean in values
        else:
            assert min(values) * 0.99 <= mean <= max(values) * 1.01
            assert spread[0] <= mean <= spread[1]
    assert sum(len(scores) for _, scores, *_ in found["latest"]) == 20
    assert all(len(values) == len(keys) for _, _, *values in found["latest"])
    assert [run for run, *_ in found["latest"]][-1] == bench.context.notebook.runs()[-1].run_id


def test_several_may_be_staged_where_a_session_says_so(bench: Bench) -> None:
    bench.context.ahead = 2
    first = bench("stage_proposal", **PROPOSAL)
    assert first["more_may_be_staged"] == 1
    again = {**PROPOSAL, "changes": {"train.ent_coef": 0.02, "train.optimizer": "adam"}}  # which the parent has
    assert f"{first['proposal']}, staged before, has this very config" in bench.refused("stage_proposal", **again)
    second = bench("stage_sweep", theory="All of it might be somewhere else.", replicates=4)
    assert "2 proposals are staged" in bench.refused("stage_proposal", **{**PROPOSAL, "changes": {"train.gamma": 0.9}})
    assert [draft.proposal_id for draft in bench.context.drafts] == [first["proposal"], second["proposal"]]
    assert {draft.batch for draft in bench.context.drafts} == {first["proposal"]}


def test_of_one_a_second_takes_the_place_of_the_first(bench: Bench) -> None:
    bench("stage_proposal", **PROPOSAL)
    second = bench("stage_proposal", **{**PROPOSAL, "changes": {"train.gamma": 0.9}})
    (draft,) = bench.context.drafts
    assert (draft.proposal_id, draft.batch) == (second["proposal"], None)


def test_a_turn_may_be_passed_to_the_optimizer(bench: Bench) -> None:
    bench.context.ahead = 2
    would = bench("suggest_configs", count=2)["candidates"]
    passed = [bench("pass_round", reason="It has seen more than I have.") for _ in range(2)]
    assert [one["changes"] for one in passed] == [one["changes"] for one in would]
    for draft, candidate in zip(bench.context.drafts, would, strict=True):
        assert (draft.arm, draft.passed_by, draft.by) == ("race", "scripted", "race, passed by scripted")
        assert draft.theory.endswith("scripted passed its turn: It has seen more than I have.")
        (prediction,) = draft.predictions
        expected = candidate["expected"]
        assert (prediction.low, prediction.high) == pytest.approx((expected["low"], expected["high"]), rel=1e-5)


def test_a_turn_can_t_be_passed_where_there_is_nothing_to_ask_for(
    make_run: RunMaker, notebook: Notebook, inventory: Inventory
) -> None:
    failed = Bench(notebook, inventory, make_run(fault="nan"))  # without a score there is no incumbent
    said = failed.refused("pass_round", reason="It has seen more than I have.")
    assert said == "the optimizer has nothing to ask for: stage a proposal of your own, or end the search"
    assert failed.context.drafts == ()


def test_suggestions_follow_the_runs(
    bench: Bench, make_run: RunMaker, notebook: Notebook, inventory: Inventory
) -> None:
    before = bench("suggest_configs")
    more = make_run({"train.ent_coef": 0.05}, parent=notebook.runs()[0].run_id)
    after = Bench(notebook, inventory, more)("suggest_configs")
    assert bench("suggest_configs")["candidates"] == after["candidates"]
    assert before["candidates"] != after["candidates"]
    assert (before["replicates_behind_it"], after["replicates_behind_it"]) == (4, 6)  # of two runs, and of one more


def test_what_was_rejected_is_not_suggested_again(bench: Bench, proposals: Proposals) -> None:
    first = bench("suggest_configs")["candidates"][0]
    bench("stage_proposal", **{**PROPOSAL, "changes": first["changes"]})
    (draft,) = bench.context.drafts
    proposals.stage(draft)
    proposals.decide(draft.proposal_id, ProposalState.REJECTED, "person", "too bold")
    found = bench("suggest_configs", count=12)
    assert found["kept_away_from_rejected"] == 1
    assert first["changes"] not in [candidate["changes"] for candidate in found["candidates"]]
    shown = bench("list_proposals")["proposals"][0]
    assert (shown["state"], shown["why"], shown["decided_by"]) == ("rejected", "too bold", "person")


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"train.seed": 3}, "person"),
        ({"train.device": "cpu"}, "person"),
        ({"train.gamma": 1}, "0.999999"),
        ({"train.minibatch_size": 1000}, "992"),
        ({"train.nope": 1}, "not a key"),
        ({"env.continuous": True}, "person"),
        ({}, "changes nothing"),
    ],
)
def test_an_invalid_proposal_is_not_staged(bench: Bench, changes: dict[str, Any], word: str) -> None:
    assert word in bench.refused("stage_proposal", **{**PROPOSAL, "changes": changes})
    assert bench.context.drafts == ()


def test_a_proposal_predicts_the_objective(bench: Bench) -> None:
    without = {key: value for key, value in PROPOSAL.items() if key != "expected"}
    assert "expected" in bench.refused("stage_proposal", **without)
    for where in (
        {"expected": {**EXPECTED, "low": 0.95}},
        {"also_expected": [{"metric": "sps", **EXPECTED, "low": 2}]},
    ):
        assert "above" in bench.refused("stage_proposal", **{**PROPOSAL, **where})
    assert "metric" in bench.refused("stage_proposal", **PROPOSAL, also_expected=[{**EXPECTED, "metric": "## Verdict"}])
    for odd in ("NaN", "Infinity", "-Infinity"):
        text = json.dumps({**PROPOSAL, "expected": {**EXPECTED, "high": 0.123}}).replace("0.123", odd)
        assert not bench.toolbox.call("stage_proposal", text).ok
    assert "between 0 and 1" in bench.refused("stage_proposal", **{**PROPOSAL, "expected": {**EXPECTED, "high": 1.5}})
    assert bench.context.drafts == ()
    bench("stage_proposal", **PROPOSAL, also_expected=[{"metric": "sps", **EXPECTED}])
    (draft,) = bench.context.drafts
    assert [prediction.metric for prediction in draft.predictions] == ["perf", "sps"]


def test_a_proposal_and_the_end_of_the_search_exclude_each_other(bench: Bench) -> None:
    bench("stage_proposal", **PROPOSAL)
    assert "staged already" in bench.refused("end_search", reason="Nothing is left to be learnt here.")
    bench.context.drafts = ()
    bench("end_search", reason="Nothing is left to be learnt here.")
    assert "ended already" in bench.refused("stage_proposal", **PROPOSAL)


def test_staging_waits_for_the_end_of_the_analysis(bench: Bench, proposals: Proposals) -> None:
    bench("stage_proposal", **PROPOSAL)
    assert proposals.all() == []
    assert not bench.context.done
    bench(
        "write_report",
        title="A fine run",
        observations=["It ran."],
        theory="It ran because it could.",
        next_step="More of it.",
    )
    assert bench.context.done


def test_a_failed_run_can_be_read(make_run: RunMaker, notebook: Notebook, inventory: Inventory) -> None:
    make_run()
    bench = Bench(
        notebook, inventory, make_run({"train.ent_coef": 0.5}, fault="crash", parent=notebook.runs()[0].run_id)
    )
    assert bench("read_run")["reason"]
    assert bench("read_log")["lines"]
    assert "has a score" in bench.refused("compare_runs")


@pytest.mark.parametrize(
    "arguments", ["", "{", "[]", "null", '"x"', "{}x", '{"run": 1}', '{"run": "current", "extra": 1}', "NaN"]
)
def test_malformed_arguments_get_an_answer(bench: Bench, arguments: str) -> None:
    answer = bench.toolbox.call("read_run", arguments)
    assert answer.ok == (arguments == "")
    json.loads(answer.content)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=30)
    | st.sampled_from(["../../etc/passwd", "current"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=20), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_whatever_a_model_sends_it_gets_json_and_nothing_is_written(bench: Bench, data: st.DataObject) -> None:
    tool = data.draw(st.sampled_from(TOOLS))
    fields = st.sampled_from([*tool.arguments.model_fields, "other"])
    arguments = data.draw(st.dictionaries(fields, json_values, max_size=4).map(json.dumps) | st.text(max_size=40))
    root = bench.context.notebook.workspace.root
    before = tree(root)
    answer = bench.toolbox.call(tool.name, arguments)
    assert len(answer.content) <= MAX_CHARS * 2
    json.loads(answer.content)
    assert tree(root) == before


@pytest.mark.parametrize("state", [RunState.FINISHED, RunState.RUNNING, RunState.DIVERGED])
def test_a_config_that_a_run_has_is_not_proposed_again(
    bench: Bench, notebook: Notebook, make_run: RunMaker, state: RunState
) -> None:
    tried = make_run(PROPOSAL["changes"], parent=bench.context.incumbent, fault="nan" if state == "diverged" else None)
    if state is RunState.RUNNING:
        path = notebook.paths(tried.run_id).run
        write_model(path, tried.model_copy(update={"state": state, "finished": None}))
    assert notebook.run(tried.run_id).state is state
    said = bench.refused("stage_proposal", **PROPOSAL)
    assert f"run {tried.run_id} has this very config" in said
    assert bench.context.drafts == ()
    again = {"train.ent_coef": 0.02, "train.gamma": notebook.config(tried.run_id).train["gamma"]}  # in other words
    assert tried.run_id in bench.refused("stage_proposal", **{**PROPOSAL, "changes": again})
    assert tried.run_id in bench("check_config", changes=PROPOSAL["changes"])["tried_already"]
    near = bench("stage_proposal", **{**PROPOSAL, "changes": {"train.ent_coef": 0.0201}})
    assert near["valid"]


def test_what_somebody_stopped_may_be_proposed_again(bench: Bench, notebook: Notebook, make_run: RunMaker) -> None:
    tried = make_run(PROPOSAL["changes"], parent=bench.context.incumbent)
    changes = {"state": RunState.KILLED, "reason": "stopped by the user"}
    write_model(notebook.paths(tried.run_id).run, tried.model_copy(update=changes))
    notebook.index.rebuild()
    assert bench("stage_proposal", **PROPOSAL)["valid"]


def test_what_a_run_has_is_not_suggested(bench: Bench, notebook: Notebook, make_run: RunMaker) -> None:
    first = bench("suggest_configs", count=6)["candidates"]
    tried = [make_run(candidate["changes"], parent=bench.context.incumbent) for candidate in first]
    twin = partial(twin_of, notebook.index)
    assert [twin(notebook.config(run.run_id), run.group) for run in tried] == [run.run_id for run in tried]
    base = notebook.config(str(bench.context.incumbent))
    again = bench("suggest_configs", count=6)["candidates"]
    assert all(twin(base.with_overrides(candidate["changes"]), bench.context.group) is None for candidate in again)


def test_an_environment_of_thousands_of_metrics_leaves_room_for_the_rest(
    bench: Bench, notebook: Notebook, make_run: RunMaker
) -> None:
    subject = bench.context.subject
    summary = notebook.summary(subject.run_id)
    assert summary is not None
    many = {f"key {count}": summary.metrics["perf"] for count in range(3000)}
    write_model(notebook.paths(subject.run_id).summary, summary.model_copy(update={"metrics": many | summary.metrics}))
    for seed in subject.seeds:
        live = notebook.paths(subject.run_id).seed(seed)
        live.metrics.unlink()
        append_line(live.metrics_live, {"agent_steps": 1, "environment/perf": 1, "losses/entropy": 1}
                    | {f"environment/key {count}": 1.0 for count in range(3000)})  # fmt: skip
    told = bench("read_run")
    assert next(iter(told["metrics"])) == "perf"
    assert (len(told["metrics"]), told["metrics_left_out"]) == (40, len(many | summary.metrics) - 40)
    assert bench("compare_runs")["means"].keys() <= summary.metrics.keys()
    names = bench("read_metrics")
    assert names["names"][:2] == ["environment/perf", "losses/entropy"]
    assert (len(names["names"]), names["left_out"]) == (150, 2852)
    assert "has no metric nothing" in bench.refused("read_metrics", metrics=["nothing"])
