"""Rules decide: each one, each limit at its end, and that nothing passes which no rule lets pass."""

import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.approval.policy import PolicySettings, policy_settings
from agent.approval.ruling import Ruling, rule_on
from cli.settings import defaults
from lab.base.errors import InvalidInput
from lab.base.paths import Workspace
from lab.base.schema import new_id, now
from lab.space.config import Config, derive
from lab.space.inventory import Inventory
from lab.space.parameters import Parameter, Scale
from lab.space.task import Variant
from lab.space.validate import check_overrides, space_of
from lab.store.creation import create_run
from lab.store.lab import Lab
from lab.store.notebook import Notebook, active_time
from lab.store.proposal import Decision, Prediction, Proposal, ProposalState
from lab.store.records import RunRecord, RunState
from tests.conftest import ENV, tree
from tests.lab.judge.test_costs import Clocked
from training.inventory import load_inventory
from training.run import train_run

PAGE = Path(__file__).resolve().parents[3] / "docs" / "approval.md"
PERF = Prediction(metric="perf", direction="up", low=0.5, high=0.9, coverage=0.8)
LENGTH = PERF.model_copy(update={"metric": "episode_length"})
STEPS = 10_000_000
FREE = {"keys": ["train.*", "policy.*", "rnn.*", "autopilot.*", "env.*"]}
"""An entry that allows whatever can be allowed."""


@pytest.fixture
def parent(notebook: Notebook, inventory: Inventory, config: Config) -> RunRecord:
    """Two replicates of ten million steps, in ten minutes."""
    values = {
        "train.ent_coef": 0.01, "train.gamma": 0.98, "train.vf_coef": 2.0, "train.clip_coef": 0.2,
        "train.update_epochs": 3, "train.gae_lambda": 1.0, "train.prio_alpha": 0.0, "train.optimizer": "adam",
        "train.total_timesteps": STEPS, "rnn.enabled": False,
    }  # fmt: skip
    made = config.with_overrides(values)
    run = create_run(notebook, made, {}, preset="quick", objective="perf:max", arm="baseline")
    return train_run(notebook, Clocked(seconds=600), inventory, run.run_id, lambda _: None)


@pytest.fixture
def proposed(parent: RunRecord, notebook: Notebook) -> Callable[..., Proposal]:
    def make(overrides: dict[str, Any], **more: Any) -> Proposal:
        created = now()
        fields: dict[str, Any] = {
            "proposal_id": new_id(created), "created": created, "env_name": ENV, "preset": "quick",
            "objective": "perf:max", "task": parent.group.task, "parent": parent.run_id,
            "parent_config": notebook.config(parent.run_id).fingerprint(), "analysed": parent.run_id, "session": None,
            "arm": "offline", "overrides": overrides, "theory": "t", "predictions": (PERF,),
            "decisions": (Decision(time=created, state=ProposalState.STAGED, who="offline"),),
        }  # fmt: skip
        return Proposal.model_validate({**fields, **more})

    return make


Rule = Callable[..., Ruling]


@pytest.fixture
def ruled(proposed: Callable[..., Proposal], notebook: Notebook, inventory: Inventory) -> Rule:
    """`ruled({"train.gamma": 0.9}, {"keys": ["train.gamma"]}, max_keys=1)`; `of` are fields of the proposal."""

    def rule(overrides: dict[str, Any], *allow: dict[str, Any], of: dict[str, Any] | None = None,
             **rules: Any) -> Ruling:  # fmt: skip
        proposal = proposed(overrides, **(of or {}))
        found = rule_on(proposal, Lab(notebook, inventory), PolicySettings.model_validate({"allow": allow, **rules}))
        assert all(key in found.rule for key in overrides)
        assert "\n" not in found.rule
        return found

    return rule


# --- the entries -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("key", "limits", "passing", "beyond"), [
    ("train.ent_coef", {"factor": 3}, [0.02, 0.03, 0.011, 0.1 * 0.3, 0.01 / 3], [0.0301, 0.0033, 0.0, 1]),
    ("train.ent_coef", {"factor": 1.5}, [0.015, 0.0075], [0.0151, 0.0066]),
    ("train.prio_alpha", {"factor": 1e6}, [], [1e-9, 0.5, 1]),  # from 0
    ("train.gamma", {"factor": 3}, [0.94, 0.99, 1 - 0.02 / 3], [0.995, 0.939, 0.9934, 0.5, 0.0]),  # of 1 - x
    ("train.gae_lambda", {"factor": 1e6}, [], [0.999999, 0.5]),  # 1 - x was 0
    ("train.total_timesteps", {"factor": 2}, [20_000_000, 5_000_000], [20_000_021, 4_999_994]),
    ("train.update_epochs", {"step": 2}, [1, 2, 4, 5], [6, 7, 32]),
    ("train.clip_coef", {"step": 0.1}, [0.3, 0.1, 0.25], [0.3001, 0.0999, 0.0]),
    ("train.gamma", {"step": 0.01}, [0.99, 0.97], [0.9901, 0.9699]),  # not of 1 - x
    ("train.ent_coef", {"values": [0.02, 1]}, [0.02, 1, 1.0], [0.0200001, 0.03]),
    ("train.optimizer", {"values": ["muon"]}, ["muon"], []),
    ("rnn.enabled", {"values": ["muon", True]}, [True], []),
    ("rnn.enabled", {"values": [1]}, [], [True]),
    ("train.vf_coef", {"values": [True]}, [], [1, 1.0]),
    ("train.optimizer", {"values": ["adam"]}, [], ["muon"]),
    ("train.optimizer", {"factor": 3}, [], ["muon"]),
    ("rnn.enabled", {"step": 3}, [], [True]),
    ("rnn.enabled", {"factor": 3}, [], [True]),
    ("train.gamma", {}, [0.0, 0.999999], []),
    ("train.update_epochs", {"factor": 3, "step": 1}, [2, 4], [1, 5, 9]),
    ("train.update_epochs", {"step": 3, "values": [5, 7]}, [5], [4, 7]),
])  # fmt: skip
def test_limits_at_their_ends(
    ruled: Rule, key: str, limits: dict[str, Any], passing: list[Any], beyond: list[Any]
) -> None:
    for value in passing:
        found = ruled({key: value}, {"keys": [key], **limits})
        assert found.outcome == "approved", found
        assert found.rule.startswith(f"policy.allow[1]: {key} ")
    for value in beyond:
        found = ruled({key: value}, {"keys": [key], **limits})
        assert found.outcome == "denied", found
        assert found.rule.startswith(f"no rule allows {key} ")


@pytest.mark.parametrize(("old", "new", "passes"), [
    (-2.0, -6.0, True),
    (-6.0, -2.0, True),
    (-2.0, -6.1, False),
    (-2.0, 2.0, False),
    (2.0, -2.0, False),
    (-2.0, 0.0, False),
    (0.0, -2.0, False),
])  # fmt: skip
def test_a_factor_keeps_the_sign(
    notebook: Notebook, inventory: Inventory, proposed: Callable[..., Proposal], parent: RunRecord,
    old: float, new: float, *, passes: bool,
) -> None:  # fmt: skip
    base = notebook.config(parent.run_id).with_overrides({"autopilot.target_score": old})
    run = create_run(notebook, base, {}, preset="quick", objective="perf:max", arm="person")
    of = {"arm": "person", "parent": run.run_id, "parent_config": base.fingerprint()}
    rules = PolicySettings.model_validate({"allow": [{"keys": ["autopilot.target_score"], "factor": 3}]})
    found = rule_on(proposed({"autopilot.target_score": new}, **of), Lab(notebook, inventory), rules)
    assert found.outcome == ("approved" if passes else "denied"), found


def test_entries_are_alternatives_and_each_key_has_to_pass(ruled: Rule) -> None:
    narrow, wide = {"keys": ["train.ent_coef"], "factor": 2}, {"keys": ["train.*"], "factor": 5}
    assert ruled({"train.ent_coef": 0.02}, narrow, wide).rule.startswith("policy.allow[1]: train.ent_coef")
    found = ruled({"train.ent_coef": 0.04, "train.gamma": 0.9}, narrow, wide)
    assert found == (
        "approved",
        "policy.allow[2]: train.ent_coef 0.01 → 0.04 within factor 5;"
        " policy.allow[2]: train.gamma 0.98 → 0.9 within factor 5 of 1 - x",
    )
    found = ruled({"train.ent_coef": 0.02, "train.gamma": 0.5, "rnn.enabled": True}, narrow, wide)
    assert found == (
        "denied",
        "no rule allows train.gamma 0.98 → 0.5 (policy.allow[2] wants it within factor 5 of 1 - x),"
        " rnn.enabled false → true; beside it train.ent_coef 0.01 → 0.02",
    )


@pytest.mark.parametrize(("keys", "passes"), [
    (["train.ent_coef"], True), (["train.*"], True), (["rnn.*", "train.*"], True),
    (["rnn.*"], False), (["train.ent"], False), (["train"], False), (["train."], False), (["*"], False),
    (["train.ent*"], False), ([".*"], False), (["train.ent_coef.*"], False),
])  # fmt: skip
def test_keys_are_exact_or_all_of_a_section(ruled: Rule, keys: list[str], *, passes: bool) -> None:
    assert (ruled({"train.ent_coef": 0.02}, {"keys": keys}).outcome == "approved") is passes


def test_what_follows_from_a_change_and_what_stays_is_no_change(
    ruled: Rule, notebook: Notebook, parent: RunRecord
) -> None:
    """Half the horizon halves the batch; a key set to what it was counts for nothing."""
    base = notebook.config(parent.run_id)
    horizon = int(base.train["bptt_horizon"] or 1)
    changes = {"train.bptt_horizon": horizon // 2, "train.gamma": 0.98, "vec.num_envs": base.vec["num_envs"]}
    assert derive(base.with_overrides(changes), 1).batch_size * 2 == derive(base, 1).batch_size
    changes.pop("vec.num_envs"), changes.pop("train.gamma")
    assert ruled(changes, {"keys": ["train.bptt_horizon"], "factor": 2}, max_keys=1).outcome == "approved"


def test_a_key_set_to_what_it_was_is_no_change(
    proposed: Callable[..., Proposal], notebook: Notebook, inventory: Inventory
) -> None:
    rules = PolicySettings.model_validate({"allow": [{"keys": ["train.ent_coef"]}], "max_keys": 1})
    proposal = proposed({"train.ent_coef": 0.02, "train.gamma": 0.98, "vec.num_envs": 1})
    assert rule_on(proposal, Lab(notebook, inventory), rules) == (
        "approved", "policy.allow[1]: train.ent_coef 0.01 → 0.02",
    )  # fmt: skip
    nothing = rule_on(proposed({"train.gamma": 0.98}), Lab(notebook, inventory), rules)
    assert nothing.outcome == "denied"
    assert "changes nothing" in nothing.rule


# --- the rules before them -------------------------------------------------------------------------------------------

TOPOLOGY = {
    "vec.backend": "Multiprocessing", "vec.num_envs": 2, "vec.num_workers": 2, "vec.batch_size": 2,
    "env.num_envs": 512, "train.device": "cpu", "autopilot.threads": 2, "train.precision": "bfloat16",
    "train.compile": True, "train.compile_mode": "default", "train.compile_fullgraph": True,
    "train.cpu_offload": True, "train.torch_deterministic": False,
}  # fmt: skip


@pytest.mark.parametrize("arm", ["offline", "person"])
@pytest.mark.parametrize("key", TOPOLOGY)
def test_topology_and_device_never(ruled: Rule, notebook: Notebook, parent: RunRecord, key: str, arm: str) -> None:
    value = TOPOLOGY[key]
    if notebook.config(parent.run_id).get(key) == value:
        value = not value
    wide = {"keys": [*FREE["keys"], "vec.*", key]}
    found = ruled({key: value}, wide, of={"arm": arm}, prediction=False)
    assert found.outcome == "denied"
    assert found.rule.startswith(f"topology and device never: {key} ")
    warm = {"autopilot.resume_mode": "continue", "autopilot.resume_from": "best"}
    found = ruled({key: value, **warm, "train.gamma": 0.9}, wide, of={"arm": arm}, prediction=False)
    assert found.outcome == "denied"
    assert "; beside it autopilot.resume_mode fresh → continue, autopilot.resume_from not set → best" in found.rule


@pytest.mark.parametrize("overrides", [
    {"autopilot.resume_mode": "continue", "autopilot.resume_from": "best"},
    {"autopilot.resume_mode": "continue"},
    {"autopilot.resume_from": "latest"},
    {"autopilot.resume_mode": "continue", "autopilot.resume_from": "best", "train.gamma": 0.9},
])  # fmt: skip
def test_warm_starts_wait_for_a_person(ruled: Rule, overrides: dict[str, Any]) -> None:
    for predictions in ((PERF,), ()):
        found = ruled(overrides, FREE, of={"predictions": predictions}, max_keys=1)
        assert found.outcome == "held"
        assert found.rule.startswith("warm starts wait for a person: autopilot.resume_")


def test_a_child_of_a_warm_start_is_one_unless_it_starts_fresh(
    proposed: Callable[..., Proposal], notebook: Notebook, inventory: Inventory, parent: RunRecord
) -> None:
    warm = {"autopilot.resume_mode": "continue", "autopilot.resume_from": parent.run_id}
    base = notebook.config(parent.run_id).with_overrides(warm)
    run = create_run(notebook, base, warm, preset="quick", objective="perf:max", arm="person", parent=parent.run_id)
    of = {"parent": run.run_id, "parent_config": base.fingerprint()}
    rules = PolicySettings.model_validate({"allow": [FREE]})
    found = rule_on(proposed({"train.gamma": 0.9}, **of), Lab(notebook, inventory), rules)
    assert found == (
        "held",
        "warm starts wait for a person (autopilot.resume_mode is continue, as its parent's): train.gamma 0.98 → 0.9",
    )
    fresh = proposed({"autopilot.resume_mode": "fresh", "train.gamma": 0.9}, **of)
    assert rule_on(fresh, Lab(notebook, inventory), rules).outcome == "approved"
    assert rule_on(fresh, Lab(notebook, inventory), PolicySettings()).outcome == "denied"


@pytest.mark.parametrize(("overrides", "said"), [
    ({"train.gamma": 3}, "must be from 0 to 0.999999"),
    ({"train.gamma": "high"}, "must be a finite number"),
    ({"train.nonsense": 1}, "is not a key of the config"),
    ({"nonsense": 1}, "is not a key of the config"),
    ({"train.total_timesteps": "many"}, "must be a whole number"),
    ({"train.minibatch_size": 1000}, "must be a multiple of train.bptt_horizon"),
    ({"train.seed": 1}, "may be set by a person only"),
    ({"autopilot.seeds": 1}, "may be set by a person only"),
    ({"autopilot.eval_steps": 1}, "frozen when a session starts"),
])  # fmt: skip
def test_what_is_not_valid_is_denied(ruled: Rule, overrides: dict[str, Any], said: str) -> None:
    found = ruled(overrides, FREE, max_minutes=1)
    assert found.outcome == "denied"
    assert found.rule.startswith("not valid (")
    assert said in found.rule


@pytest.mark.parametrize("of", [{"parent": "gone"}, {"parent": "../gone"}, {"parent_config": "0" * 12}])
def test_what_is_stale_is_denied(ruled: Rule, of: dict[str, Any]) -> None:
    assert ruled({"train.gamma": 0.97}, FREE, of=of).outcome == "denied"


@pytest.mark.parametrize(("predictions", "wanted", "outcome"), [
    ((PERF,), True, "approved"),
    ((LENGTH, PERF), True, "approved"),
    ((), True, "denied"),
    ((LENGTH,), True, "denied"),
    ((), False, "approved"),
])  # fmt: skip
def test_the_objective_has_to_be_predicted(
    ruled: Rule, predictions: tuple[Prediction, ...], *, wanted: bool, outcome: str
) -> None:
    found = ruled({"train.ent_coef": 0.02}, FREE, of={"predictions": predictions}, prediction=wanted)
    assert found.outcome == outcome
    if outcome == "denied":
        assert found.rule == "policy.prediction, nothing is predicted of perf: train.ent_coef 0.01 → 0.02"
        assert ruled({"train.ent_coef": 0.02}, FREE, of={"predictions": predictions}) == found  # wanted unless said


def test_no_more_keys_than_may_change(ruled: Rule) -> None:
    three = {"train.ent_coef": 0.02, "train.gamma": 0.97, "train.vf_coef": 1.0}
    assert ruled(three, FREE, max_keys=3).outcome == "approved"
    assert ruled(three, FREE).outcome == "approved"
    found = ruled(three, FREE, max_keys=2)
    assert found.outcome == "denied"
    assert found.rule.startswith("policy.max_keys = 2, 3 keys change: train.ent_coef 0.01 → 0.02, train.gamma")


def test_no_longer_than_a_run_may_take(ruled: Rule) -> None:
    """Ten minutes for two replicates of ten million steps; a run is one, unless a person says otherwise."""
    twice, thrice = {"train.total_timesteps": 2 * STEPS}, {"train.total_timesteps": 3 * STEPS}
    assert ruled(thrice, FREE).outcome == "approved"
    assert ruled(twice, FREE, max_minutes=10.5).outcome == "approved"
    assert ruled({"train.gamma": 0.97}, FREE, max_minutes=5.5).outcome == "approved"
    found = ruled(thrice, FREE, max_minutes=10)
    assert found.outcome == "denied"
    assert re.match(r"policy.max_minutes = 10, it would take about 15(\.\d+)? minutes by 1 run: ", found.rule)
    found = ruled({"rnn.enabled": True}, FREE, max_minutes=4)
    assert "it would take very roughly 5" in found.rule
    seeds = ruled({"autopilot.seeds": 6}, FREE, of={"arm": "person"}, max_minutes=20)
    assert (seeds.outcome, "it would take about 30" in seeds.rule) == ("denied", True)


def test_a_limit_of_time_denies_while_nothing_was_measured(
    notebook: Notebook, inventory: Inventory, config: Config, proposed: Callable[..., Proposal], parent: RunRecord
) -> None:
    run = create_run(notebook, config, {}, preset="quick", objective="perf:max", arm="person")
    proposal = proposed({"train.gamma": 0.97}, parent=run.run_id, parent_config=config.fingerprint())
    notebook.workspace.run(parent.run_id).dir.rename(notebook.workspace.root / "elsewhere")
    rules = PolicySettings.model_validate({"allow": [FREE], "max_minutes": 1000})
    found = rule_on(proposal, Lab(notebook, inventory), rules)
    assert found.outcome == "denied"
    assert found.rule.startswith("policy.max_minutes = 1000, no run has measured yet how fast this trains: train.gamma")
    unlimited = rules.model_copy(update={"max_minutes": None})
    assert rule_on(proposal, Lab(notebook, inventory), unlimited).outcome == "approved"


def test_the_order_of_the_rules(ruled: Rule) -> None:
    """Each that is mended lets the next one speak."""
    bad: dict[str, Any] = {"vec.num_envs": 2, "autopilot.resume_from": "best", "train.gamma": 3, "train.ent_coef": 0.02,
                           "train.total_timesteps": 3 * STEPS}  # fmt: skip
    rules = {"max_keys": 1, "max_minutes": 10}

    def said(*, predictions: tuple[Prediction, ...] = (), **rules: Any) -> str:
        return ruled(bad, of={"predictions": predictions}, **rules).rule

    assert said(**rules).startswith("topology and device never")
    del bad["vec.num_envs"]
    assert said(**rules).startswith("warm starts wait for a person")
    del bad["autopilot.resume_from"]
    assert said(**rules).startswith("not valid")
    bad["train.gamma"] = 0.97
    assert said(**rules).startswith("policy.prediction")
    assert said(**rules, predictions=(PERF,)).startswith("policy.max_keys")
    assert said(max_minutes=10, predictions=(PERF,)).startswith("policy.max_minutes")
    assert said(predictions=(PERF,)).startswith("no rule allows train.gamma")


def test_a_ruling_is_bounded_and_plain(proposed: Callable[..., Proposal], notebook: Notebook,
                                       inventory: Inventory) -> None:  # fmt: skip
    rules = PolicySettings.model_validate({"allow": [FREE]})
    hostile = {
        "autopilot.resume_from": "\x1b[2Jbest\n" + "x" * 10_000,
        **{f"train.{'y' * 5000}{n}\n\x1b[1m": "z" * 5000 for n in range(500)},
    }
    for overrides in (hostile, {key: value for key, value in hostile.items() if "train" in key}):
        for parent in ({}, {"parent": "gone\n" * 100}):
            found = rule_on(proposed(overrides, **parent), Lab(notebook, inventory), rules)
            assert found.outcome != "approved"
            assert len(found.rule) <= 8000
            assert found.rule.isprintable()


def test_ruling_changes_nothing(ruled: Rule, workspace: Workspace, parent: RunRecord) -> None:
    before = tree(workspace.root)
    for _ in range(2):
        assert ruled({"train.ent_coef": 0.02}, FREE, max_minutes=20).outcome == "approved"
    assert tree(workspace.root) == before


# --- whatever is proposed --------------------------------------------------------------------------------------------

EARLY = ["train.ent_coef", "train.gamma", "train.clip_coef", "train.update_epochs", "train.vf_coef", "rnn.enabled",
         "train.optimizer", "train.total_timesteps", "train.gae_lambda", "policy.hidden_size"]  # fmt: skip
LATE = ["vec.num_envs", "env.num_envs", "train.device", "autopilot.threads", "autopilot.resume_mode",
        "autopilot.resume_from", "autopilot.save_strategy", "train.bptt_horizon", "train.adam_beta2"]  # fmt: skip


def values_of(parameter: Parameter, old: Any) -> st.SearchStrategy[Any]:
    """Valid values of a key, near to the old one as often as far away."""
    if parameter.choices:
        return st.sampled_from(parameter.choices)
    if parameter.kind is bool:
        return st.booleans()
    if parameter.kind is str:
        return st.sampled_from(["best", "latest"])
    low, high = parameter.low or 0, parameter.high or 1
    if parameter.kind is int:
        near = st.integers(max(int(low), old - 3), min(int(high), old + 3)) if old else st.nothing()
        ratio = st.sampled_from([2, 3]).map(lambda by: min(int(high), int(old or low) * by))
        return near | ratio | st.integers(int(low), int(high))
    ratios = st.sampled_from([1 / 3, 0.5, 2, 3, 3.01])
    by = ratios.map(lambda ratio: 1 - (1 - old) * ratio if parameter.scale is Scale.LOGIT else old * ratio)
    return by.filter(lambda x: low <= x <= high) | st.floats(low, high)


ALL = [*FREE["keys"], "vec.*"]
KEYS = st.lists(st.sampled_from([*EARLY, *LATE, *ALL]), min_size=1, max_size=5) | st.just(ALL)
LIMITS = {
    "factor": st.sampled_from([1.5, 2, 3.0]),
    "step": st.sampled_from([0.05, 1, 2]),
    "values": st.lists(st.sampled_from(["muon", True, False, 1, 2, 0.02, "fresh"]), min_size=1, max_size=3),
}
ENTRIES = st.one_of(
    st.fixed_dictionaries({"keys": KEYS}),
    *[st.fixed_dictionaries({"keys": KEYS, name: limit}) for name, limit in LIMITS.items()],
    st.fixed_dictionaries({"keys": KEYS}, optional=LIMITS),
)
RULES = st.fixed_dictionaries(
    {"allow": st.lists(ENTRIES, min_size=1, max_size=3)},
    optional={"prediction": st.booleans(), "max_keys": st.integers(1, 3), "max_minutes": st.sampled_from([11, 20, 31])},
)
USUAL = st.sets(st.sampled_from(EARLY), max_size=3) | st.sets(
    st.sampled_from(["train.gamma", "train.total_timesteps"]), min_size=1
)
UNUSUAL = st.sampled_from([
    *[set()] * 4, {"autopilot.resume_mode", "autopilot.resume_from"}, {"vec.num_envs"}, {"env.num_envs"},
    *[{key} for key in LATE],
])  # fmt: skip


def lets_pass(entry: dict[str, Any], parameter: Parameter, old: Any, new: Any) -> bool:
    """As the page says it, in fractions of what people write; a hair more than that, as of rounding."""
    hair, numbers = Fraction("1.00001"), is_number(old) and is_number(new)
    holds = [bool({parameter.key, f"{parameter.key.split('.')[0]}.*"} & set(entry["keys"]))]
    if "values" in entry:
        holds.append(any(is_number(new) == is_number(value) and new == value for value in entry["values"]))
    if "step" in entry:
        most = Fraction(str(entry["step"])) * hair
        holds.append(numbers and abs(Fraction(str(new)) - Fraction(str(old))) <= most)
    if "factor" in entry:
        one, other = (Fraction(str(value)) if numbers else Fraction(0) for value in (old, new))
        if parameter.scale is Scale.LOGIT:
            one, other = 1 - one, 1 - other
        most = Fraction(str(entry["factor"])) * hair
        holds.append(numbers and one * other > 0 and max(one / other, other / one) <= most)
    return all(holds)


def is_number(value: object) -> bool:
    return type(value) in (int, float)


@given(st.data())
@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_is_approved_keeps_every_rule(
    proposed: Callable[..., Proposal], notebook: Notebook, inventory: Inventory, parent: RunRecord, data: st.DataObject
) -> None:
    base, space = notebook.config(parent.run_id), space_of(inventory.environment(ENV))
    keys = data.draw(USUAL) | data.draw(UNUSUAL)
    overrides = {key: data.draw(values_of(space[key], base.get(key)), label=key) for key in sorted(keys)}
    predictions = data.draw(st.sampled_from([(PERF,)] * 5 + [(PERF, LENGTH), (LENGTH,), ()]))
    arm = data.draw(st.sampled_from(["offline", "person"]))
    proposal = proposed(overrides, predictions=predictions, arm=arm)
    rules = data.draw(RULES)
    found = rule_on(proposal, Lab(notebook, inventory), PolicySettings.model_validate(rules))
    nothing = rule_on(proposal, Lab(notebook, inventory), PolicySettings.model_validate({**rules, "allow": []}))
    assert nothing.outcome != "approved"
    changed = {key: value for key, value in overrides.items() if value != base.get(key)}
    assert all(key in found.rule for key in changed)
    if found.outcome != "approved":
        assert found.rule.count("policy.allow[") == 0 or found.rule.startswith("no rule allows ")
        return
    assert not changed.keys() & {"env.num_envs", "train.device", "autopilot.threads", "autopilot.resume_from"}
    assert not any(key.startswith("vec.") for key in changed)
    assert changed.get("autopilot.resume_mode") != "continue"
    assert check_overrides(base, overrides, inventory, proposing=arm != "person") == []
    assert PERF in predictions or rules.get("prediction") is False
    assert len(changed) <= rules.get("max_keys", 99)
    took = active_time(parent)
    assert took is not None
    share = changed.get("autopilot.seeds", 1) / len(parent.seeds)  # a proposal is of one replicate, unless it says so
    minutes = took.total_seconds() / 60 * share * changed.get("train.total_timesteps", STEPS) / STEPS
    assert minutes <= rules.get("max_minutes", 1e9) * 1.00001
    for key, value in changed.items():
        assert any(lets_pass(entry, space[key], base.get(key), value) for entry in rules["allow"]), key
    assert parent.state is RunState.FINISHED


@given(st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_key_that_some_entry_lets_pass_is_approved(
    proposed: Callable[..., Proposal], notebook: Notebook, inventory: Inventory, parent: RunRecord, data: st.DataObject
) -> None:
    """The other way round, well within the limits."""
    base, space = notebook.config(parent.run_id), space_of(inventory.environment(ENV))
    key = data.draw(st.sampled_from([key for key in EARLY if space[key].kind is float]))
    value = data.draw(values_of(space[key], base.get(key)))
    entries = [{k: v for k, v in entry.items() if k != "values"} for entry in data.draw(RULES)["allow"]]
    tight = [{k: v * 0.999 if k in ("factor", "step") else v for k, v in entry.items()} for entry in entries]
    if value == base.get(key) or not any(lets_pass(entry, space[key], base.get(key), value) for entry in tight):
        return
    rules = PolicySettings.model_validate({"allow": entries})
    assert rule_on(proposed({key: value}), Lab(notebook, inventory), rules).outcome == "approved"


# --- the table -------------------------------------------------------------------------------------------------------

ENTRY = '[[policy.allow]]\nkeys = ["train.gamma"]\n'


@pytest.mark.parametrize(("text", "said"), [
    ("", "approve = 'policy': would deny everything: autopilot.toml has no [policy]; valid: [[policy.allow]] in"),
    ("[policy]\nmax_keys = 2", "policy.allow = []: would deny everything: it allows nothing; valid: [[policy.allow]]"),
    ("policy = 3", "policy = 3: is not a table; valid: [policy]"),
    ('[policy.allow]\nkeys = ["train.gamma"]', "policy.allow = {'keys': ['train.gamma']}: is not a list of tables;"
     " valid: [[policy.allow]], in double brackets"),
    (f"[policy]\nprediction = 1\n{ENTRY}", "policy.prediction = 1: must be true or false; valid: as in"),
    (f"[policy]\nmax_minutes = 0\n{ENTRY}", "policy.max_minutes = 0: must be more than 0; valid: as in"),
    (f"[policy]\nmax_minutes = inf\n{ENTRY}", "policy.max_minutes = inf: must be a finite number; valid"),
    (f'[policy]\nmax_minutes = "20"\n{ENTRY}', "policy.max_minutes = '20': must be a number; valid"),
    (f"[policy]\nmax_keys = 0\n{ENTRY}", "policy.max_keys = 0: must be 1 or more; valid"),
    (f"[policy]\nmax_keys = 2.0\n{ENTRY}", "policy.max_keys = 2.0: must be an integer; valid"),
    (f"[policy]\nmax_steps = 2\n{ENTRY}", "policy.max_steps = 2: is unknown; valid"),
    (f"{ENTRY}factor = 1", "policy.allow[1].factor = 1: must be more than 1; valid: keys = ["),
    (f"{ENTRY}factor = true", "policy.allow[1].factor = True: must be a number; valid"),
    (f"{ENTRY}factor = nan", "policy.allow[1].factor = nan: must be a finite number; valid"),
    (f"{ENTRY}{ENTRY}step = 0", "policy.allow[2].step = 0: must be more than 0; valid"),
    (f"{ENTRY}values = []", "policy.allow[1].values = []: must have at least 1 item"),
    (f"{ENTRY}values = [nan]", "policy.allow[1].values = nan: is neither true, false, a finite number nor a text;"),
    (f"{ENTRY}values = [1979-05-27]", "policy.allow[1].values = datetime.date(1979, 5, 27): is neither"),
    (f"{ENTRY}values = [0.9, 1]", "policy.allow[1].values = 1: is no value of these keys; valid: train.gamma: from 0"),
    (f"{ENTRY}value = [0.9]", "policy.allow[1].value = [0.9]: is unknown; valid"),
    ("[[policy.allow]]\nfactor = 3", "policy.allow[1].keys = {'factor': 3}: is missing; valid: keys = ["),
    ("[[policy.allow]]\nkeys = []", "policy.allow[1].keys = []: must have at least 1 item"),
    ("[[policy.allow]]\nkeys = [3]", "policy.allow[1].keys.0 = 3: must be a text; valid: keys = ["),
    ("[policy]\nallow = [3]", "policy.allow[1] = 3: "),
])  # fmt: skip
def test_a_table_that_is_none_is_refused_in_one_line(workspace: Workspace, text: str, said: str) -> None:
    workspace.settings.write_text(text)
    with pytest.raises(InvalidInput) as refused:
        policy_settings(workspace)
    assert str(refused.value).startswith(said)
    assert (refused.value.exit_code, str(refused.value).count("\n")) == (2, 0)
    assert "; valid: " in str(refused.value)


@pytest.mark.parametrize(("keys", "more", "said"), [
    ('"train.gama"', "", "keys = 'train.gama': is neither a key of the config nor all of a section, such as train.*;"
     " valid: train.gamma or"),
    ('"train.g*"', "", "keys = 'train.g*': is neither"),
    ('"*"', "", "keys = '*': is neither"),
    ('"train"', "", "keys = 'train': is neither"),
    ('"trains.*"', "", "keys = 'trains.*': is neither"),
    ('"train.gamma.*"', "", "keys = 'train.gamma.*': is neither"),
    ('"env_name"', "", "keys = 'env_name': is neither"),
    ('"policy.nonsense"', "", "keys = 'policy.nonsense': is neither"),
    ('"train.gamma", "vec.*"', "", "keys = 'vec.*': can't be allowed: topology and device never change; valid: leave"),
    ('"env.num_envs"', "", "keys = 'env.num_envs': can't be allowed: topology"),
    ('"train.device"', "", "keys = 'train.device': can't be allowed: topology"),
    ('"autopilot.resume_from"', "", "keys = 'autopilot.resume_from': can't be allowed: warm starts wait for a person;"),
    ('"train.gamma", "train.optimizer"', "factor = 3", "factor = 3.0: train.optimizer is no number; valid: an entry"),
    ('"rnn.enabled"', "step = 2", "step = 2.0: rnn.enabled is no number; valid: an entry of its own"),
    ('"train.optimizer", "rnn.enabled"', 'values = ["muon", 1]', "values = 1: is no value of these keys; valid:"
     " train.optimizer: muon | adam; rnn.enabled: true | false"),
])  # fmt: skip
def test_an_entry_that_says_nothing_is_refused(
    workspace: Workspace, inventory: Inventory, keys: str, more: str, said: str
) -> None:
    workspace.settings.write_text(f"{ENTRY}\n[[policy.allow]]\nkeys = [{keys}]\n{more}\n")
    for environment in (None, inventory.environment(ENV)):
        with pytest.raises(InvalidInput) as refused:
            policy_settings(workspace, environment)
        assert str(refused.value).startswith(f"policy.allow[2].{said}")


def test_keys_of_an_environment_are_looked_up_in_it(workspace: Workspace, inventory: Inventory) -> None:
    environment = inventory.environment(ENV)
    for key in ("env.nonsense", "autopilot.policy_variant"):
        workspace.settings.write_text(f'[[policy.allow]]\nkeys = ["{key}"]\nvalues = ["deep"]\n')
        assert policy_settings(workspace).allow[0].keys == (key,)
        with pytest.raises(InvalidInput, match=r"is neither a key of the config nor"):
            policy_settings(workspace, environment)
    declared = {"policy": {"deep": Variant(call="nets:Deep")}}
    with_variant = environment.model_copy(update={"variants": declared})
    assert policy_settings(workspace, with_variant).allow[0].values == ("deep",)
    workspace.settings.write_text('[[policy.allow]]\nkeys = ["env.continuous"]\nvalues = [true]\n')
    with pytest.raises(InvalidInput, match="may be set by a person only"):
        policy_settings(workspace, environment)


def test_what_space_narrows_is_no_value(workspace: Workspace) -> None:
    workspace.settings.write_text('[space]\n"train.gamma" = {high = 0.95}\n' + ENTRY + "values = [0.97]\n")
    assert policy_settings(workspace).allow[0].values == (0.97,)
    with pytest.raises(InvalidInput, match=r"is no value of these keys; valid: train\.gamma: from 0 to 0\.95"):
        policy_settings(workspace, load_inventory([ENV], workspace).environment(ENV))


# --- the page --------------------------------------------------------------------------------------------------------


def test_the_pages_table_is_accepted(workspace: Workspace, inventory: Inventory) -> None:
    (text,) = re.findall(r"```toml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    workspace.settings.write_text(text)
    found = policy_settings(workspace, inventory.environment(ENV))
    assert (found.prediction, found.max_minutes, found.max_keys) == (True, 20, 2)
    assert [(e.factor, e.step, e.values) for e in found.allow] == [
        (3, None, None), (None, 2, None), (None, None, ("muon", True)),
    ]  # fmt: skip
    assert defaults(workspace, {"start"}) == {}


def test_the_pages_rulings_are_what_is_said(ruled: Rule, workspace: Workspace) -> None:
    text = PAGE.read_text()
    (table,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    workspace.settings.write_text(table)
    rules = policy_settings(workspace).model_dump()
    allow = rules.pop("allow")
    ent = {"train.ent_coef": 0.02}
    warm = {"autopilot.resume_mode": "continue", "autopilot.resume_from": "best"}
    said = [
        ruled(overrides, *allow, of=of, **rules).rule
        for overrides, of in (
            (ent, {}), ({"train.gamma": 0.9}, {}), ({"train.clip_coef": 0.3, **ent}, {}), ({"vec.num_envs": 2}, {}),
            (warm, {}), (ent, {"predictions": ()}), ({**ent, "train.gamma": 0.99, "train.vf_coef": 1}, {}),
        )
    ]  # fmt: skip
    for rule in said:
        assert f"\n{rule}\n" in text, rule
