"""What an arm asks for as a proposal, without a model."""

from collections.abc import Mapping
from typing import Any, Literal

from lab.base import new_id, now
from lab.judge import NEIGHBOURHOOD, like_the_parent, noise_of
from lab.search.search import Search, Suggestion
from lab.space import metrics_of
from lab.store import Decision, Prediction, Proposal, ProposalState, Selection


def asked_for(search: Search, suggestion: Suggestion, arm: str, session: str | None, saw: str = "all runs") -> Proposal:
    """A new config that an arm asks for, as a proposal that is not in the queue yet.

    Args:
        search: what was known.
        suggestion: of a new config.
        arm: its name.
        session: the one that asks.
        saw: what the arm was told of.
    """
    created = now()
    return Proposal(
        proposal_id=new_id(created),
        created=created,
        **search.group._asdict(),
        parent=search.parent,
        parent_config=search.base.fingerprint(),
        analysed=search.parent,
        session=session,
        arm=arm,
        overrides=suggestion.changes,
        theory=f"The next config of the arm {arm}, which has seen {saw}; no model chose it.",
        predictions=predicted_of(search, suggestion.changes),
        decisions=(Decision(time=created, state=ProposalState.STAGED, who=arm),),
    )


def predicted_of(search: Search, changes: Mapping[str, Any]) -> tuple[Prediction, ...]:
    """Where the objective of a changed config will come to lie: as the search's model sees one replicate of it.

    While nothing has a score that the model reads, the parent's mean, give or take what replicates and configs differ
    by; no prediction where the parent has none either.

    Args:
        search: what is known.
        changes: overrides of its parent's config.
    """
    group, outlook = search.group, search.outlook(changes)
    metric, summary = group.goal.metric, search.lab.notebook.summary(search.parent)
    base = summary.metrics.get(metric) if summary else None
    direction: Literal["up", "down", "same"] = "same"
    if outlook is not None:
        low, high, mean = outlook.low, outlook.high, base.mean if base else outlook.mean
        direction = "up" if low > mean else "down" if high < mean else "same"
    elif base is not None:
        known, noise = metrics_of(group.env_name).get(metric), noise_of(search.lab.notebook, group)
        rows = search.lab.notebook.index.rows(Selection(group, native=True, own=True))
        others = [row.score for row in rows if row.score is not None]
        rate = bool(known and known.rate)
        low, high = like_the_parent(base.mean, base.n, noise[0] if noise else None, others, rate=rate)
    else:
        return ()
    return (Prediction(metric=metric, direction=direction, low=low, high=high, coverage=NEIGHBOURHOOD),)
