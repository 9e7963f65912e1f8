"""A night's headline is what the record says: whether something is better, by how much, what to do next."""

import re
import shutil
from collections.abc import Callable
from itertools import pairwise
from statistics import fmean
from typing import Any

import pytest

from agent.session.session import Session
from lab.base.files import append_line, write_model
from lab.base.schema import now
from lab.base.text import lasting
from lab.judge.incumbency import Incumbency
from lab.judge.stats import noise_floor
from lab.judge.stopping import scores_of
from lab.judge.verdicts import compare_runs, current_verdict, weigh
from lab.search.plan import findable, plan_of
from lab.space.config import Config
from lab.space.inventory import Inventory
from lab.store.creation import create_run
from lab.store.lab import Lab
from lab.store.notebook import Notebook
from lab.store.proposal import ProposalState
from lab.store.proposals import Proposals
from lab.store.records import Confirmation, RunState
from lab.store.session import Budgets, Leading
from lab.store.sessions import Sessions
from report.comparing import compared
from report.digest import write_digest
from report.facts import name_text
from report.headline import headline_of
from report.outcome import outcome, to_tell
from report.session_status import status_lines
from tests.agent.conftest import Make, Told, make_session
from tests.conftest import Cli, RunMaker
from training.fake import FakeRunner

__all__ = ["make_session"]


@pytest.fixture
def headline(notebook: Notebook, proposals: Proposals) -> Callable[[Session], str]:
    """Digest, status and the sentence itself have to say the same."""

    def said(session: Session) -> str:
        write_digest(session.lab, proposals, session.record)
        text = headline_of(notebook, proposals, session.record).text
        digest = notebook.workspace.session(session.record.session_id).digest.read_text()
        assert digest.splitlines()[2] == f"**{text}**"
        return text

    return said


@pytest.mark.slow
def test_a_night_that_finds_something(
    make_session: Make, notebook: Notebook, headline: Callable[[Session], str], cli: Cli
) -> None:
    told = Told()
    session = make_session(FakeRunner(noise=0.02), budgets=Budgets(max_runs=45), parts={"notifier": told})
    session.run()
    won = [one for one in notebook.index.confirmations() if one.outcome == "confirmed"]
    assert won, "the peak of the fake runner is easily found"
    fresh = [value for run in won[-1].runs for value in notebook.values(run, "perf")]
    place = Incumbency(notebook, session.group)
    old = [*notebook.values(won[-1].incumbent, "perf"), *place.values(place.fresh(won[-1].incumbent, won[-1]))]
    text = headline(session)
    before, after = to_tell(fmean(old), fmean(fresh))
    worst = to_tell(min(old), min(fresh))
    assert f" is better: perf {before} → {after} on {won[-1].seeds} fresh seeds a side" in text
    theirs = notebook.run(won[-1].incumbent).number
    assert f"(worst seed {worst[0]} → {worst[1]}; #{theirs}'s figures are of all its {len(old)} seeds)" in text
    assert text.startswith(f"#{notebook.run(won[-1].candidate).number} (`")
    assert cli("status").out.splitlines()[0] == text
    lines = dict(headline_of(notebook, session.proposals, session.record).lines)
    assert lines["incumbent"].startswith(f"#{notebook.run(won[-1].candidate).number} from now on; autopilot export ")
    (finished,) = [said for event, said in told.said if event == "finished"]
    assert finished.startswith(text)


def test_a_night_of_several_steps_says_what_they_gain_together(
    make_session: Make, make_run: RunMaker, notebook: Notebook, proposals: Proposals
) -> None:
    session = make_session().record
    mine = {"session": session.session_id}
    runs = [make_run({"train.learning_rate": rate}, **mine) for rate in (0.01, 0.02, 0.03)]
    told = []
    for old, new in pairwise(runs):
        sides = [make_run(replicates_of=run.run_id, replicates=5, **mine) for run in (new, old)]
        won = Confirmation(
            time=now(), candidate=new.run_id, incumbent=old.run_id, outcome="confirmed", why="shown", level=0.01,
            min_effect=0.0, group=5, looks=1, metric="perf", seeds=5, effect=0.2, runs=(sides[0].run_id,), **mine,
        )  # fmt: skip
        for one in (won.model_copy(update={"outcome": "opened", "time": old.created, "runs": ()}), won):
            append_line(notebook.workspace.confirmations, one.model_dump(mode="json"))
        told.append(dict(headline_of(notebook, proposals, session).lines)["incumbent"])
    first, last = scores_of(notebook, runs[0].run_id), notebook.values(sides[0].run_id, "perf")
    before, after = to_tell(fmean(first), fmean(last))
    assert told[0] == "#2 from now on; autopilot export 2 takes its policy home"
    whole = f"in 2 steps from {name_text(notebook, runs[0])}: perf {before} (n={len(first)}) → {after} (n=5)"
    assert told[1] == f"#3 from now on, {whole}; autopilot export 3 takes its policy home"


def test_an_incumbents_later_seeds_count_beside_those_that_won_it_its_place(
    make_run: RunMaker, notebook: Notebook, cli: Cli
) -> None:
    base, new = (make_run({"train.learning_rate": rate, "autopilot.seeds": 3}) for rate in (0.01, 0.02))
    flattering = make_run(replicates_of=new.run_id, replicates=2)
    opened = Confirmation(
        time=now(), candidate=new.run_id, incumbent=base.run_id, outcome="opened", why="", level=0.01, min_effect=0.0,
        group=5, looks=1, metric="perf", session=None,
    )  # fmt: skip
    append_line(notebook.workspace.confirmations, opened.model_dump(mode="json"))
    fresh = make_run(replicates_of=new.run_id, replicates=5)
    won = opened.model_copy(
        update={
            "time": now(),
            "outcome": "confirmed",
            "why": "shown",
            "seeds": 5,
            "effect": 0.2,
            "runs": (fresh.run_id,),
        }
    )
    all_of_it = [value for run in (new, flattering, fresh) for value in notebook.values(run.run_id, "perf")]
    assert scores_of(notebook, new.run_id) == all_of_it
    append_line(notebook.workspace.confirmations, won.model_dump(mode="json"))
    assert scores_of(notebook, new.run_id) == [*notebook.values(fresh.run_id, "perf")]
    beside = make_run({"train.learning_rate": 0.03, "autopilot.seeds": 3})
    told = compare_runs(notebook, beside.run_id, new.run_id)
    assert told.effect == pytest.approx(
        fmean(notebook.values(beside.run_id, "perf")) - fmean(scores_of(notebook, new.run_id))
    )
    assert told.n == (3, 5)
    assert told.method.endswith(f"; {new.run_id} by its 5 fresh seeds")
    there = f"of its own 3 replicates; on 5 fresh seeds perf is {fmean(scores_of(notebook, new.run_id)):.4g}"
    assert there in cli("show", new.run_id).out
    assert "of its own" not in cli("show", beside.run_id).out
    means = compared(notebook, beside.run_id, new.run_id)["means"]
    assert len(means) > 3
    for metric, one in means.items():  # all of them of the replicates that the verdict is of
        sides = (notebook.values(run.run_id, metric) for run in (beside, fresh))
        assert list(one.values()) == pytest.approx([fmean(side) for side in sides], rel=1e-3), metric
    assert compare_runs(notebook, beside.run_id, new.run_id, opened.time).n == (3, 3)
    later = make_run(replicates_of=new.run_id, replicates=5)
    assert scores_of(notebook, new.run_id) == [
        *notebook.values(fresh.run_id, "perf"),
        *notebook.values(later.run_id, "perf"),
    ]


def test_a_night_in_which_nothing_is_better(make_session: Make, headline: Callable[[Session], str]) -> None:
    class Equal(FakeRunner):
        """Whatever the config, the same scores but for the seed."""

        def _score(self, plan: object, seed: int) -> float:
            return 0.5 + 0.1 * ((seed * 7919) % 97 / 97 - 0.5)

    session = make_session(Equal(), budgets=Budgets(max_runs=45))
    session.run()
    text = headline(session)
    told = re.match(r"Nothing (?:beat the baseline|is proven better than the baseline) in (\d+) configs", text)
    assert told, text
    runs = session.notebook.runs(session=session.record.session_id)
    assert int(told[1]) == sum(run.arm != "baseline" and not run.replicates_of for run in runs) < len(runs) - 1
    if "came to" in text or text.endswith("shown."):
        leads = r"; #\d+ .* may be better \(believed [\d.]+ against [\d.]+\): `autopilot confirm \d+` .*"
        assert re.search(rf"(?:;|, where) a gain of [\d.]+ would have been shown(?:{leads})?\.$", text), text


def test_a_contender_that_is_not_decided(
    make_session: Make, notebook: Notebook, proposals: Proposals, headline: Callable[[Session], str]
) -> None:
    session = make_session(FakeRunner(noise=0.02), budgets=Budgets(max_runs=45))
    while not Incumbency(notebook, session.group, session.record.session_id).current():
        session.step()
    contender = Incumbency(notebook, session.group).current()
    assert contender is not None
    number = notebook.run(contender.candidate).number
    assert headline(session).startswith(f"A contender is being proven: #{number} ")
    assert headline_of(notebook, proposals, session.record).command == "autopilot resume"  # nobody is at work
    with session.sessions.sole(session.record.session_id):
        assert headline_of(notebook, proposals, session.record).command is None
    session.record = session.record.model_copy(update={"ended": session.record.created, "ended_because": "a test"})
    text = headline(session)
    assert re.match(rf"One contender is undecided: #{number} .*; `autopilot confirm {number}` takes up to \d", text)
    assert headline_of(notebook, proposals, session.record).command == f"autopilot confirm {number}"
    stage = dict(status_lines(notebook, proposals, session.record, 0.0))["plan"]
    assert "; proof stopped, nothing decided yet: " in stage


@pytest.mark.parametrize("over", [True, False])
def test_what_is_proven_on_its_own_preset_is_said_while_a_longer_one_is_open(
    make_session: Make, make_run: RunMaker, notebook: Notebook, proposals: Proposals, over: bool
) -> None:
    session = make_session().record
    mine = {"session": session.session_id}
    base = make_run({"autopilot.seeds": 5}, **mine)
    contender = make_run({"train.learning_rate": 0.01, "autopilot.seeds": 5}, parent=base.run_id, **mine)
    passed = Confirmation(
        time=now(), candidate=contender.run_id, incumbent=base.run_id, outcome="passed", why="better", level=0.01,
        min_effect=0.0, group=5, looks=1, then="full", metric="perf", seeds=5, effect=0.2, low=0.1, high=0.3,
        runs=(contender.run_id,), **mine,
    )  # fmt: skip
    more = {"outcome": "opened", "preset": "full", "then": None, "seeds": 0, "effect": None, "low": None, "high": None}
    for one in (passed, passed.model_copy(update={**more, "runs": ()})):
        append_line(notebook.workspace.confirmations, one.model_dump(mode="json"))
    ended = {"ended": now(), "ended_because": "a test"} if over else {}
    text = headline_of(notebook, proposals, session.model_copy(update=ended)).text
    assert re.match(r"#2 \(`.*`\) is better: perf [\d.]+ → [\d.]+ on 5 fresh seeds a side", text), text
    open_ = r"undecided.*; `autopilot confirm 2` (takes up to .*|decides it)" if over else "being proven.*"
    assert re.search(rf"\); on the preset full it is {open_}\.$", text), text
    verdict = current_verdict(notebook, contender.run_id)
    assert verdict is not None
    assert (verdict.verdict, verdict.effect, verdict.n) == ("better", 0.2, (5, 5))
    assert weigh(notebook, contender.run_id, base.run_id).verdict == "better"
    assert weigh(notebook, base.run_id, contender.run_id).verdict == "worse"


@pytest.mark.parametrize(("low", "said"), [
    (0.06, r"Nothing is proven better than the baseline in 1 config; #2 .* came to perf [\d.]+ against [\d.]+ on 5"
           r" fresh seeds a side, which spread too widely to prove it: `autopilot confirm 2` takes up to \d.*"),
    (-0.06, r"Nothing beat the baseline in 1 config: the contender #2 .* on 5 fresh seeds, where a gain of ([\d.]+)"
            r" would have been shown\."),
])  # fmt: skip
def test_a_contender_that_was_dropped(
    make_session: Make, make_run: RunMaker, notebook: Notebook, proposals: Proposals, low: float, said: str
) -> None:
    """What a proof would have shown is told by its own seeds, which may spread wider than the baseline's did."""
    session = make_session().record
    mine = {"session": session.session_id}
    base = make_run({"autopilot.seeds": 5}, **mine)
    contender = make_run({"train.learning_rate": 0.01, "autopilot.seeds": 5}, parent=base.run_id, **mine)
    lost = Confirmation(
        time=now(), candidate=contender.run_id, incumbent=base.run_id, outcome="dropped", why="not shown", level=0.01,
        min_effect=0.0, group=5, looks=1, metric="perf", seeds=5, effect=0.2, low=low, high=0.4,
        runs=(contender.run_id,), **mine,
    )  # fmt: skip
    append_line(notebook.workspace.confirmations, lost.model_dump(mode="json"))
    session = session.model_copy(update={"ended": now(), "ended_because": "a test"})
    headline = headline_of(notebook, proposals, session)
    assert dict(headline.lines)["cost"] == "0 s, 2 runs with 10 replicates"  # the headline counts runs
    found = re.fullmatch(said, headline.text)
    assert found, headline.text
    if found.groups():
        noise = noise_floor([notebook.values(run.run_id, "perf") for run in (base, contender)])
        assert noise is not None
        assert float(found[1]) == pytest.approx(findable(noise[0], 5, 0.01), rel=0.05)
    else:
        assert headline.command == "autopilot confirm 2"


def test_what_may_be_better_is_said_beside_a_contender_that_was_dropped(
    make_session: Make,
    make_run: RunMaker,
    notebook: Notebook,
    proposals: Proposals,
    inventory: Inventory,
    config: Config,
) -> None:
    """Only the contender has met fresh seeds; what the search believes in by now is what to prove next."""
    session = make_session().record
    mine = {"session": session.session_id}
    base = make_run({"autopilot.seeds": 5}, **mine)
    contender, leader = (
        make_run({"train.learning_rate": rate, "autopilot.seeds": 5}, parent=base.run_id, **mine)
        for rate in (0.01, 0.02)
    )
    create_run(  # was never trained, so it is no config in which nothing was found
        notebook, config, {}, preset="quick", objective="perf:max", arm="offline", parent=base.run_id, **mine
    )
    lost = Confirmation(
        time=now(), candidate=contender.run_id, incumbent=base.run_id, outcome="dropped", why="not shown", level=0.01,
        min_effect=0.0, group=5, looks=1, metric="perf", seeds=5, effect=0.2, low=-0.06, high=0.4,
        runs=(contender.run_id,), **mine,
    )  # fmt: skip
    append_line(notebook.workspace.confirmations, lost.model_dump(mode="json"))
    believed = Leading(time=now(), trained=15, run=leader.run_id, mean=0.8, gain=0.2, replicates=5)
    Sessions(notebook.workspace).believe(session.session_id, believed)
    session = session.model_copy(update={"ended": now(), "ended_because": "a test"})
    headline = headline_of(notebook, proposals, session)
    assert re.fullmatch(
        r"Nothing is proven better than the baseline in 2 configs: the contender #2 .* on 5 fresh seeds, where a"
        r" gain of [\d.]+ would have been shown; #3 .* may be better \(believed 0\.80 against 0\.60\):"
        r" `autopilot confirm 3` .*",
        headline.text,
    ), headline.text
    assert headline.command == "autopilot confirm 3"
    before = lost.model_copy(update={"candidate": leader.run_id, "session": "20260101-000000-night", "runs": ()})
    append_line(notebook.workspace.confirmations, before.model_dump(mode="json"))
    again = headline_of(notebook, proposals, session)  # what an earlier night had dropped is believed in all the same
    assert (again.text, again.command) == (headline.text, headline.command)
    hidden = believed.model_copy(
        update={"trained": 16, "mean": 0.6001, "gain": 0.0001}
    )  # no proof would show as much as that
    Sessions(notebook.workspace).believe(session.session_id, hidden)
    quiet = headline_of(notebook, proposals, session)
    assert "may be better" not in quiet.text
    assert not quiet.command.startswith("autopilot confirm")
    Sessions(notebook.workspace).believe(session.session_id, believed.model_copy(update={"trained": 17}))
    write_digest(Lab(notebook, inventory), proposals, session)
    assert "\nautopilot confirm 3\n" in notebook.workspace.session(session.session_id).digest.read_text()


def test_before_its_end_a_night_says_what_it_is_laid_out_to_show(
    make_session: Make, make_run: RunMaker, notebook: Notebook, proposals: Proposals
) -> None:
    session = make_session(budgets=Budgets(max_runs=60)).record
    make_run({"autopilot.seeds": 5}, session=session.session_id)
    plan = plan_of(notebook, session, 60, keys=20, named=1, known=False)
    session = session.model_copy(update={"plan": plan})
    told = headline_of(notebook, proposals, session).text
    gain = rf"{plan.findable[-1]:.2g}"
    assert re.fullmatch(
        rf"Only the baseline has been trained; the night is laid out to show a gain of {gain}[\d]*\.", told
    ), told
    session = session.model_copy(update={"ended": now(), "ended_because": "a test"})
    told = headline_of(notebook, proposals, session).text
    assert told == "Only the baseline has been trained."


def test_a_night_in_which_everything_failed(
    make_session: Make, notebook: Notebook, proposals: Proposals, headline: Callable[[Session], str]
) -> None:
    session = make_session(FakeRunner(faults=dict.fromkeys(range(100), "crash")))
    session.run()
    count = len(session.mine())
    who = f"All {count} runs" if count > 1 else "The only run, of 5 replicates,"
    over = f"the night was over after {lasting(session.record.spent.seconds)}"
    assert headline(session) == f"{who} failed, and {over}: ValueError: made up."
    session.record = session.record.model_copy(update={"ended": now(), "ended_because": "a test"})
    told = headline_of(notebook, proposals, session.record)
    assert told.command == f"autopilot logs {count}"
    assert told.failed
    assert told.lines[0] == ("next", told.command)  # before what waits, which mends nothing


@pytest.mark.parametrize(("pruned", "said"), [
    (0, r"All 2 runs failed: ValueError: made up\."),  # each of another seed
    (1, r"No run has a score: 1 stopped early, 1 failed: ValueError: made up\."),
    (2, r"All 2 runs were stopped early: pruned at 1,000 steps\."),
])  # fmt: skip
def test_what_was_stopped_early_has_not_failed(
    make_session: Make, make_run: RunMaker, notebook: Notebook, pruned: int, said: str
) -> None:
    session = make_session().record
    runs = [make_run(fault="crash", session=session.session_id) for _ in range(2)]
    for run in runs[:pruned]:
        early = run.model_copy(update={"state": RunState.PRUNED, "reason": "pruned at 1,000 steps"})
        write_model(notebook.workspace.run(run.run_id).run, early)
    assert re.fullmatch(said, outcome(notebook, session))


def test_before_anything_has_trained(make_session: Make, notebook: Notebook, cli: Cli) -> None:
    session = make_session()
    assert outcome(notebook, session.record) == "Nothing has been trained yet."
    assert cli("status").out.startswith("no session yet")


@pytest.mark.parametrize(("values", "told"), [
    ((0.7043, 0.8592), ["0.70", "0.86"]), ((0.70, 0.704), ["0.7000", "0.7040"]), ((141.0, 198.3), ["141", "198"]),
    ((-21.0, -20.4), ["-21.00", "-20.40"]), ((0.5, 0.5), ["0.50", "0.50"]), ((1e4, 98_765.0), ["10,000", "98,765"]),
])  # fmt: skip
def test_numbers_have_the_digits_that_tell_them_apart(values: tuple[float, ...], told: list[str]) -> None:
    assert to_tell(*values) == told


def test_a_run_that_is_gone_is_said_by_whoever_counts(make_session: Make, notebook: Notebook, called: Cli) -> None:
    session = make_session(FakeRunner(), budgets=Budgets(max_runs=4))
    session.run()
    *_, last = notebook.runs(session=session.record.session_id)
    shutil.rmtree(notebook.workspace.run(last.run_id).dir)
    told = f"1 run of this session is no longer in runs/: {last.run_id}"
    for command in ("status", "digest"):
        assert told in called(command).out
    assert last.run_id not in called("runs").out


def test_a_digest_begins_with_what_has_been_decided_since(
    make_session: Make, notebook: Notebook, proposals: Proposals, called: Cli, propose: Any
) -> None:
    session = make_session(FakeRunner(), budgets=Budgets(max_runs=2))
    propose({"train.gamma": 0.93})
    session.run()
    written = Sessions(notebook.workspace).digest(session.record.session_id)
    assert "- waits: 1 proposal for you (autopilot review): " in written
    assert called("digest").out.strip() == written.strip()
    (waiting,) = proposals.live(ProposalState.STAGED)
    assert called("reject", waiting.proposal_id, "--why", "no").code == 0
    told = called("digest").out
    assert "- waits: nothing waits for a decision" in told
    assert "1 proposal for you" not in told
    assert "What follows is from when the digest was written, but for what waits." in told
    assert waiting.proposal_id in written
    assert f"autopilot approve {waiting.proposal_id}" not in told
    assert waiting.proposal_id not in told.partition("## What waits")[2]
    runs = written.partition("## Runs")[2].partition("## ")[0]
    again = propose({"train.gamma": 0.94}).proposal_id
    assert called("approve", again).code == 0
    assert "nothing waits for a decision; the next session trains 1 proposal that you approved" in called("digest").out
    assert len(runs) > 100
    assert runs in told
    assert Sessions(notebook.workspace).digest(session.record.session_id) == written


@pytest.mark.parametrize("gone", ["incumbent", "seeds"])
def test_a_proof_whose_runs_are_gone_is_told_by_its_own_line(
    gone: str, make_session: Make, make_run: RunMaker, notebook: Notebook, proposals: Proposals
) -> None:
    session = make_session().record
    mine = {"session": session.session_id}
    base, new = (make_run({"train.learning_rate": rate}, **mine) for rate in (0.01, 0.02))
    seeds = make_run(replicates_of=new.run_id, replicates=5, **mine)
    won = Confirmation(
        time=now(), candidate=new.run_id, incumbent=base.run_id, outcome="confirmed", why="shown", level=0.01,
        min_effect=0.0, group=5, looks=1, metric="perf", seeds=5, effect=0.2, low=0.1, high=0.3, runs=(seeds.run_id,),
        **mine,
    )  # fmt: skip
    append_line(notebook.workspace.confirmations, won.model_dump(mode="json"))
    shutil.rmtree(notebook.workspace.run(base.run_id if gone == "incumbent" else seeds.run_id).dir)
    said = headline_of(notebook, proposals, session).text
    assert "is better: perf +0.2 [+0.1, +0.3] on 5 fresh seeds a side, of which not all runs" in said


def test_a_digest_says_what_its_own_trainings_have_in_common(
    make_session: Make, make_run: RunMaker, notebook: Notebook, proposals: Proposals
) -> None:
    session, before = make_session(), {"session": "another-night"}
    base = make_run({"train.gamma": 0.5}, **before)
    ill = {"train.minibatch_size": 32768, "train.update_epochs": 1}
    for more in (before, before, {"session": session.record.session_id}):
        make_run(ill, parent=base.run_id, **more)
    write_digest(session.lab, proposals, session.record)
    text = notebook.workspace.session(session.record.session_id).digest.read_text()
    shared = text.partition("## What its trainings have in common")[2].partition("\n## ")[0]
    assert "(1 of 1 run; " in shared
    assert " of 4 runs" not in shared
