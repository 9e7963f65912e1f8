"""From a contender to the incumbent, on made-up runs: what is trained, what is written, and what is refused."""

import shutil
from collections.abc import Callable

import pytest

from lab.base.errors import InvalidInput
from lab.base.files import append_line
from lab.base.schema import now
from lab.judge.incumbency import Incumbency
from lab.judge.lessons import lessons_of
from lab.judge.repeats import SeedRequest, repeat
from lab.judge.sequential import NIGHT, spent
from lab.judge.stopping import scores_of
from lab.judge.verdicts import compare_runs, current_verdict, weigh
from lab.space.inventory import Inventory
from lab.store.notebook import Notebook
from lab.store.records import Confirmation, RunRecord, RunState
from lab.store.selection import Selection
from tests.conftest import Cli, RunMaker
from training.fake import FakeRunner
from training.run import train_run

GOOD, BAD = {"train.learning_rate": 0.01}, {"train.learning_rate": 0.0005}


@pytest.fixture
def fresh(notebook: Notebook, inventory: Inventory) -> Callable[..., RunRecord]:
    """Train what a confirmation waits for."""

    def train(need: SeedRequest, **more: object) -> RunRecord:
        run = repeat(notebook, need)
        return train_run(notebook, FakeRunner(**more), inventory, run.run_id, lambda _: None)  # type: ignore[arg-type]

    return train


def carried_through(
    place: Incumbency, fresh: Callable[..., RunRecord]
) -> tuple[Confirmation | None, list[SeedRequest]]:
    needs = []
    while isinstance(found := place.step(), SeedRequest):
        needs.append(found)
        fresh(found)
    return found, needs


def test_a_better_run_becomes_incumbent_on_fresh_seeds_only(
    make_run: RunMaker, notebook: Notebook, fresh: Callable[..., RunRecord]
) -> None:
    base = make_run({**BAD, "autopilot.seeds": 5})
    better = make_run(GOOD, parent=base.run_id)
    place = Incumbency(notebook, base.group, "night")
    assert place.step() is None  # nothing is proven of a run that nobody has named
    place.open(better)
    assert notebook.incumbent(base.group) == base.run_id  # a name crowns nobody
    found, needs = carried_through(place, fresh)
    assert needs == [SeedRequest(better.run_id, 5), SeedRequest(base.run_id, 5)]
    assert found is not None
    assert (found.outcome, found.candidate, found.incumbent, found.seeds) == (
        "confirmed",
        better.run_id,
        base.run_id,
        5,
    )
    assert notebook.incumbent(base.group) == better.run_id
    opened = notebook.index.confirmations(better.run_id)[0]
    assert (opened.outcome, opened.level, opened.min_effect) == ("opened", found.level, found.min_effect)
    assert (opened.level, opened.looks, opened.group) == (NIGHT, 3, 5)  # laid down before the first fresh seed
    values = dict[str, list[float]]()
    for run in notebook.runs():
        if run.replicates_of:
            values.setdefault(run.replicates_of, []).extend(notebook.values(run.run_id, "perf"))
    assert found.effect == pytest.approx(sum(values[better.run_id]) / 5 - sum(values[base.run_id]) / 5)
    seeds = [seed for run in notebook.runs() for seed in run.seeds]
    assert len(seeds) == len(set(seeds))  # fresh ones, all of them
    assert place.step() is None
    assert set(notebook.verdicts()) == {base.run_id, better.run_id}  # fresh seeds have no verdict of their own


def test_better_is_for_fresh_seeds_to_say(
    make_run: RunMaker, notebook: Notebook, fresh: Callable[..., RunRecord]
) -> None:
    base = make_run({**BAD, "autopilot.seeds": 5})
    better = make_run(GOOD, parent=base.run_id)
    assert compare_runs(notebook, better.run_id, base.run_id).verdict == "better"  # one test, of two chosen beforehand
    for found in (notebook.verdict(better.run_id), current_verdict(notebook, better.run_id)):
        assert found is not None
        assert (found.verdict, found.screen) == ("inconclusive", None)
    assert weigh(notebook, better.run_id, base.run_id).verdict == "inconclusive"
    assert [lesson.meaning for lesson in lessons_of(notebook.index, base.group)] == ["promising"]
    before = now()
    place = Incumbency(notebook, base.group)
    place.open(better)
    confirmed, _ = carried_through(place, fresh)
    assert confirmed is not None
    assert confirmed.outcome == "confirmed"
    found = current_verdict(notebook, better.run_id)
    assert found is not None
    assert (found.verdict, found.against, found.effect) == ("better", base.run_id, confirmed.effect)
    assert f"{confirmed.seeds} fresh seeds a side" in found.method
    assert weigh(notebook, better.run_id, base.run_id) == found
    assert [row.verdict for row in notebook.index.rows(Selection(names=[better.run_id]))] == ["better"]
    recorded, earlier = notebook.verdict(better.run_id), current_verdict(notebook, better.run_id, before)
    assert recorded is not None
    assert recorded.verdict == "inconclusive"  # what it ended with stays
    assert earlier == recorded
    assert [lesson.meaning for lesson in lessons_of(notebook.index, base.group)] == ["helps"]


def test_what_won_it_the_place_does_not_defend_it(
    make_run: RunMaker, notebook: Notebook, fresh: Callable[..., RunRecord]
) -> None:
    base = make_run({**BAD, "autopilot.seeds": 5})
    better = make_run(GOOD, parent=base.run_id)
    place = Incumbency(notebook, base.group, "night", contenders=2, min_effect=0.0)
    first = place.open(better)
    assert first.level == NIGHT / 2
    found, _ = carried_through(place, fresh)
    assert found is not None
    assert notebook.incumbent(base.group) == better.run_id
    other = make_run({"train.gamma": 0.9, **GOOD}, parent=better.run_id)
    second = place.open(other)
    assert second.incumbent == better.run_id
    assert place.fresh(better.run_id, second) == []  # what won it the place is flattered
    assert place.fresh(better.run_id, first) == []
    assert sum(len(run.seeds) for run in place.fresh(base.run_id, first)) == found.seeds


def test_what_was_trained_before_the_opening_is_no_fresh_seed(
    make_run: RunMaker, notebook: Notebook, fresh: Callable[..., RunRecord]
) -> None:
    """Such replicates had a part in choosing the contender, or may have had one."""
    base = make_run({**BAD, "autopilot.seeds": 5})
    better = make_run(GOOD, parent=base.run_id)
    fresh(SeedRequest(better.run_id, 5))  # as the search asks for more seeds of what looks good
    fresh(SeedRequest(base.run_id, 5))
    place = Incumbency(notebook, base.group, "night")
    opened = place.open(better)
    assert place.fresh(better.run_id, opened) == place.fresh(base.run_id, opened) == []
    need = place.step()
    assert need == SeedRequest(better.run_id, 5)
    later = fresh(need)
    assert [run.run_id for run in place.fresh(better.run_id, opened)] == [later.run_id]
    assert place.step() == SeedRequest(base.run_id, 5)


def test_the_contenders_of_a_session_share_the_fresh_seeds_of_the_incumbent(
    make_run: RunMaker, notebook: Notebook, fresh: Callable[..., RunRecord]
) -> None:
    base = make_run({"autopilot.seeds": 5})
    first, second = (make_run({"train.gamma": gamma}, parent=base.run_id) for gamma in (0.96, 0.97))
    place = Incumbency(notebook, base.group, "night", contenders=2)
    place.open(first, looks=1)
    found, needs = carried_through(place, fresh)
    assert found is not None
    assert found.outcome == "dropped"
    assert [need.run for need in needs] == [first.run_id, base.run_id]
    opened = place.open(second, looks=1)
    assert [run.replicates_of for run in place.fresh(base.run_id, opened)] == [base.run_id]
    _, needs = carried_through(place, fresh)
    assert needs == [SeedRequest(second.run_id, 5)]
    third = make_run({"train.gamma": 0.98}, parent=base.run_id)
    other = Incumbency(notebook, base.group, "another night")
    assert other.fresh(base.run_id, other.open(third, looks=1)) == []  # another session has its own


def test_a_contender_gets_as_many_looks_as_were_laid_down(
    make_run: RunMaker, notebook: Notebook, fresh: Callable[..., RunRecord]
) -> None:
    base = make_run({"autopilot.seeds": 5})
    same = make_run({"train.gamma": 0.96}, parent=base.run_id)
    place = Incumbency(notebook, base.group, "night", min_effect=0.0)
    opened = place.open(same, looks=1)
    assert (opened.looks, opened.why) == (1, "5 fresh seeds a side at most")
    found, needs = carried_through(place, fresh)
    assert sum(need.seeds for need in needs) == 10
    assert found is not None
    assert (found.outcome, found.seeds) == ("dropped", 5)


def test_an_equal_run_is_dropped_and_gets_no_second_chance(
    make_run: RunMaker, notebook: Notebook, fresh: Callable[..., RunRecord]
) -> None:
    base = make_run({"autopilot.seeds": 5})
    same = make_run({"train.gamma": 0.96}, parent=base.run_id)
    place = Incumbency(notebook, base.group)
    place.open(same)  # whoever named it
    assert place.current() is not None
    assert place.open(same) == place.current()
    found, needs = carried_through(place, fresh)
    assert found is not None
    assert found.outcome == "dropped"
    assert sum(need.seeds for need in needs) <= 30
    assert notebook.incumbent(base.group) == base.run_id
    with pytest.raises(InvalidInput, match=r"was dropped against .* and gets no second confirmation"):
        place.open(same)


def test_one_that_seemed_better_may_be_named_anew_by_a_person_on_other_seeds(
    make_run: RunMaker, notebook: Notebook, fresh: Callable[..., RunRecord]
) -> None:
    base = make_run({**BAD, "autopilot.seeds": 5})
    better = make_run(GOOD, parent=base.run_id)
    night = Incumbency(notebook, base.group, "night")
    opened = night.open(better)
    first = [fresh(SeedRequest(run.run_id, 5)) for run in (better, base)]
    told = {
        "time": now(),
        "outcome": "dropped",
        "why": "not shown",
        "seeds": 5,
        "effect": 0.4,
        "runs": (first[0].run_id,),
    }
    for low in (-0.1, 0.1):
        unproven = opened.model_copy(update={**told, "low": low, "high": 0.7})
        append_line(notebook.workspace.confirmations, unproven.model_dump(mode="json"))
        with pytest.raises(InvalidInput, match="gets no second confirmation"):
            night.open(better)
        if low < 0:
            with pytest.raises(InvalidInput, match="gets no second confirmation"):
                Incumbency(notebook, base.group).open(better)
    person = Incumbency(notebook, base.group)
    assert person.open(better).level == NIGHT / 2
    found, needs = carried_through(person, fresh)
    assert needs[:2] == [SeedRequest(better.run_id, 5), SeedRequest(base.run_id, 5)]  # the earlier seeds chose it
    assert found is not None
    assert (found.outcome, found.session) == ("confirmed", None)
    assert not {run.run_id for run in first} & set(found.runs)
    assert len(scores_of(notebook, better.run_id)) == found.seeds


def test_outside_sessions_each_has_a_smaller_level_than_the_one_before(
    make_run: RunMaker, notebook: Notebook, fresh: Callable[..., RunRecord]
) -> None:
    base = make_run({**GOOD, "autopilot.seeds": 5})
    place, levels = Incumbency(notebook, base.group), []
    for rate in (0.0005, 0.0006, 0.0007):
        levels.append(place.open(make_run({"train.learning_rate": rate}, parent=base.run_id)).level)
        carried_through(place, fresh)
    assert levels == [NIGHT / 2, NIGHT / 6, NIGHT / 12]
    assert Incumbency(notebook, base.group, "night").named == 0  # a session has a budget of its own


def test_a_fresh_seed_that_fails_drops_the_candidate(
    make_run: RunMaker, notebook: Notebook, fresh: Callable[..., RunRecord]
) -> None:
    base = make_run({**BAD, "autopilot.seeds": 5})
    better = make_run(GOOD, parent=base.run_id)
    place = Incumbency(notebook, base.group)
    place.open(better)
    need = place.step()
    assert need == SeedRequest(better.run_id, 5)
    first = max(seed for run in notebook.runs() for seed in run.seeds) + 1
    fresh(need, faults={first + 2: "nan"})
    found = place.step()
    assert isinstance(found, Confirmation)
    assert found.outcome == "dropped"
    assert "a fresh seed ended as diverged" in found.why


def test_a_confirmation_goes_on_after_an_interruption(
    make_run: RunMaker, notebook: Notebook, fresh: Callable[..., RunRecord]
) -> None:
    base = make_run({**BAD, "autopilot.seeds": 5})
    better = make_run(GOOD, parent=base.run_id)
    Incumbency(notebook, base.group).open(better)
    need = Incumbency(notebook, base.group).step()
    assert isinstance(need, SeedRequest)
    stopped = repeat(notebook, need)
    notebook.fail(stopped.run_id, RunState.KILLED, "stopped by the user")  # says nothing about the candidate
    again = Incumbency(Notebook(notebook.workspace), base.group)
    assert again.step() == need
    found, _ = carried_through(again, fresh)
    assert found is not None
    assert found.outcome == "confirmed"
    assert len([c for c in notebook.index.confirmations() if c.outcome == "opened"]) == 1
    assert notebook.incumbent(base.group) == better.run_id


def test_the_budget_of_errors_is_kept(make_run: RunMaker, notebook: Notebook, fresh: Callable[..., RunRecord]) -> None:
    base = make_run({"autopilot.seeds": 5}, session="night")
    place = Incumbency(notebook, base.group, "night", contenders=2)
    levels = list[float]()
    for gamma in (0.96, 0.97, 0.98):  # each is dropped at its first look, so that half of its share is left
        levels.append(place.open(make_run({"train.gamma": gamma}, parent=base.run_id)).level)
        found, _ = carried_through(place, fresh)
        assert found is not None
        assert (found.outcome, found.seeds) == ("dropped", 5)
    assert levels == pytest.approx([NIGHT / 2] * 3)
    assert sum(spent(level, 3, 1) for level in levels) <= NIGHT
    assert (place.named, place.left, place.level) == (3, 0, 0.0)  # what is left could show nothing at five a side
    another = make_run({"train.gamma": 0.985}, parent=base.run_id)
    with pytest.raises(InvalidInput, match="session night has named 3 contenders"):
        place.open(another)
    assert Incumbency(notebook, base.group, "night", contenders=2).left == 0  # by the record
    assert Incumbency(notebook, base.group, "next", contenders=1).open(another).level == NIGHT


def test_a_contender_that_was_confirmed_leaves_no_level_to_another(
    make_run: RunMaker, notebook: Notebook, fresh: Callable[..., RunRecord]
) -> None:
    base = make_run({**BAD, "autopilot.seeds": 5}, session="night")
    place = Incumbency(notebook, base.group, "night")
    assert (place.left, place.level) == (1, NIGHT)
    place.open(make_run(GOOD, parent=base.run_id))
    assert (place.left, place.level) == (0, 0.0)  # while it is open
    found, _ = carried_through(place, fresh)
    assert found is not None
    assert (found.outcome, found.seeds) == ("confirmed", 5)
    assert (place.left, place.level) == (0, 0.0)


def test_who_can_not_become_incumbent(make_run: RunMaker, notebook: Notebook, fresh: Callable[..., RunRecord]) -> None:
    base = make_run({"autopilot.seeds": 5})
    failed = make_run(GOOD, parent=base.run_id, fault="crash")
    warm = make_run({"autopilot.resume_mode": "continue", "autopilot.resume_from": base.run_id}, parent=base.run_id)
    longer = make_run({"train.total_timesteps": 4_000_000}, parent=base.run_id)
    place = Incumbency(notebook, base.group)
    replicate = fresh(SeedRequest(base.run_id, 2))
    for run, why in ((base, "is the incumbent"), (failed, "is failed"), (warm, "went on from other weights"),
                     (longer, "only equal lengths can be compared"),
                     (replicate, f"is a replicate of {base.run_id}")):  # fmt: skip
        with pytest.raises(InvalidInput, match=why):
            place.open(run)
    assert notebook.index.confirmations() == []


def test_a_warm_start_is_compared_with_its_control(make_run: RunMaker, notebook: Notebook, cli: Cli) -> None:
    base = make_run({**BAD, "autopilot.seeds": 3})
    warm = {"autopilot.resume_mode": "continue", "autopilot.resume_from": base.run_id}
    alone = make_run({**warm, **GOOD}, parent=base.run_id)
    verdict = notebook.verdicts()[alone.run_id]
    assert (verdict.against, verdict.verdict, verdict.screen) == (base.run_id, "inconclusive", None)
    assert any(f"autopilot train --control-of {alone.run_id}" in why for why in verdict.confounds)
    control = make_run(warm, parent=base.run_id)
    found = cli("compare", alone.run_id, "--json").json()  # its verdict stays; the control came later
    assert (found["against"], found["verdict"], found["confounds"]) == (control.run_id, "better", [])
    child = make_run({**warm, **GOOD}, parent=base.run_id)
    verdict = notebook.verdicts()[child.run_id]
    assert (verdict.against, verdict.confounds) == (control.run_id, ())
    assert verdict.verdict == "better"
    assert verdict.screen is None  # trained for longer than the incumbent: it is no candidate for its place


def test_a_damaged_incumbent_keeps_its_place(
    make_run: RunMaker, notebook: Notebook, fresh: Callable[..., RunRecord]
) -> None:
    base = make_run({**BAD, "autopilot.seeds": 5})
    better = make_run(GOOD, parent=base.run_id)
    place = Incumbency(notebook, base.group)
    place.open(better)
    carried_through(place, fresh)
    path = notebook.paths(better.run_id).config
    content = path.read_bytes()
    path.unlink()
    assert [run.run_id for run in notebook.runs(base.group)].count(better.run_id) == 0
    assert better.run_id in notebook.damaged
    assert notebook.incumbent(base.group) == better.run_id
    path.write_bytes(content)
    assert notebook.incumbent(base.group) == better.run_id
    assert notebook.damaged == {}


def test_what_the_seeds_at_hand_decide_is_noted_without_training_more(
    make_run: RunMaker, notebook: Notebook, fresh: Callable[..., RunRecord]
) -> None:
    base = make_run({**BAD, "autopilot.seeds": 5})
    better = make_run(GOOD, parent=base.run_id)
    place = Incumbency(notebook, base.group, "night")
    assert place.settle() is None
    place.open(better)
    for _ in range(2):
        assert place.settle() is None
        need = place.step()
        assert isinstance(need, SeedRequest)
        fresh(need)
    found = place.settle()
    assert found is not None
    assert (found.outcome, notebook.incumbent(base.group)) == ("confirmed", better.run_id)


def test_a_name_that_was_judged_is_not_given_again(make_run: RunMaker, notebook: Notebook) -> None:
    run = make_run(run_id="mine")
    shutil.rmtree(notebook.paths(run.run_id).dir)
    with pytest.raises(InvalidInput, match="one that was deleted keeps its verdict"):
        make_run(run_id="mine")
    for name in ("verdicts.jsonl", "index.sqlite", "session.lock", "README.md", "sessions"):
        with pytest.raises(InvalidInput, match="reserved"):
            make_run(run_id=name)


def test_whoever_wants_no_second_confirmation_leaves_those_of_others_alone(
    make_run: RunMaker, notebook: Notebook, fresh: Callable[..., RunRecord]
) -> None:
    base = make_run({**BAD, "autopilot.seeds": 5})
    run = make_run(GOOD, parent=base.run_id)
    place = Incumbency(notebook, run.group, "night", then="full")
    place.open(run)
    found, _ = carried_through(place, fresh)
    assert found is not None
    assert found.outcome == "passed"
    assert Incumbency(notebook, run.group, short=True).step() is None
    assert Incumbency(notebook, run.group).undecided() == found
    again = Incumbency(notebook, run.group).step()
    assert isinstance(again, SeedRequest)
    assert again.preset == "full"


def test_a_second_confirmation_against_a_run_that_has_lost_its_place_is_not_gone_on_with(
    make_run: RunMaker, notebook: Notebook, fresh: Callable[..., RunRecord]
) -> None:
    """It would give the place to a run that is better than a former incumbent, and perhaps worse than today's."""
    base = make_run({**BAD, "autopilot.seeds": 5})
    first, second = make_run(GOOD, parent=base.run_id), make_run(GOOD | {"train.gamma": 0.96}, parent=base.run_id)
    place = Incumbency(notebook, base.group, "night", then="full")
    place.open(first)
    found, _ = carried_through(place, fresh)
    assert found is not None
    assert found.outcome == "passed"
    other = Incumbency(notebook, base.group, "other night", short=True)
    other.open(second)
    assert carried_through(other, fresh)[0] is not None
    assert notebook.incumbent(base.group) == second.run_id
    anyone = Incumbency(notebook, base.group)
    assert (anyone.undecided(), anyone.step()) == (None, None)
    assert anyone.open(first).incumbent == second.run_id  # it may face today's, if somebody asks for that
