"""What an arm asks for as a proposal, without a model."""

from lab.base import new_id, now
from lab.judge import NEIGHBOURHOOD, like_the_parent, noise_of
from lab.search.search import Search, Suggestion
from lab.space import metrics_of
from lab.store import Decision, Prediction, Proposal, ProposalState, Selection


def asked_for(search: Search, suggestion: Suggestion, arm: str, session: str | None) -> Proposal:
    """A new config that an arm asks for, as a proposal that is not in the queue yet.

    Args:
        search: what was known.
        suggestion: of a new config.
        arm: its name.
        session: the one that asks.
    """
    notebook, group, parent = search.lab.notebook, search.group, search.parent
    summary, noise = notebook.summary(parent), noise_of(notebook, group)
    metric, created = group.goal.metric, now()
    predictions: tuple[Prediction, ...] = ()
    if summary is not None and metric in summary.metrics:
        known, base = metrics_of(group.env_name).get(metric), summary.metrics[metric]
        rows = notebook.index.rows(Selection(group, native=True, own=True))
        others = [row.score for row in rows if row.score is not None]
        rate = bool(known and known.rate)
        # A new config has one replicate, of which the mean is expected whatever statistic sums up more of them.
        low, high = like_the_parent(base.mean, base.n, noise[0] if noise else None, others, rate=rate)
        predictions = (Prediction(metric=metric, direction="same", low=low, high=high, coverage=NEIGHBOURHOOD),)
    return Proposal(
        proposal_id=new_id(created),
        created=created,
        **group._asdict(),
        parent=parent,
        parent_config=search.base.fingerprint(),
        analysed=parent,
        session=session,
        arm=arm,
        overrides=suggestion.changes,
        theory=f"The next config of the arm {arm}, which has seen all runs; no model chose it.",
        predictions=predictions,
        decisions=(Decision(time=created, state=ProposalState.STAGED, who=arm),),
    )
