"""The control arm: the sampler's next config as a proposal, without a model."""

from lab.base import new_id, now
from lab.judge import NEIGHBOURHOOD, like_the_parent, noise_of
from lab.search.suggest import Permits, suggest_changes
from lab.space import Group, metrics_of
from lab.store import Decision, Lab, Prediction, Proposal, ProposalState, Selection

ARM = "sampler"
COUNT = 6
"""Candidates that are looked at for one that nobody has tried."""


def sampled(lab: Lab, group: Group, session: str, permits: Permits | None = None) -> Proposal | None:
    """The next proposal of the Optuna sampler, as a change of the incumbent; it is not in the queue yet.

    Args:
        lab: its runs feed the sampler, which keeps away from its rejected proposals.
        group: the runs that the proposal is for.
        session: the one that asks.
        permits: what a policy would let pass; None for anything valid.

    Returns:
        None where there is no incumbent, or it finds nothing that was not tried.
    """
    notebook = lab.notebook
    parent = notebook.incumbent(group)
    if parent is None:
        return None
    avoid = lab.proposals.rejected(group)
    candidates = suggest_changes(lab, group, parent, COUNT, avoid, permits=permits)
    untried = [candidate for candidate in candidates if candidate.tried is None]
    summary, noise = notebook.summary(parent), noise_of(notebook, group)
    metric = group.goal.metric
    if not untried or summary is None or metric not in summary.metrics:
        return None
    known, created, base = metrics_of(group.env_name).get(metric), now(), summary.metrics[metric]
    rows = notebook.index.rows(Selection(group, native=True, own=True))
    others = [row.score for row in rows if row.score is not None]
    low, high = like_the_parent(base.mean, base.n, noise[0] if noise else None, others, rate=bool(known and known.rate))
    prediction = Prediction(metric=metric, direction="same", low=low, high=high, coverage=NEIGHBOURHOOD)
    theory = "The control arm: the next config of the Optuna sampler, fed with all finished runs; no model chose it."
    return Proposal(
        proposal_id=new_id(created),
        created=created,
        **group._asdict(),
        parent=parent,
        parent_config=notebook.config(parent).fingerprint(),
        analysed=parent,
        session=session,
        arm=ARM,
        overrides=untried[0].changes,
        theory=theory,
        predictions=(prediction,),
        decisions=(Decision(time=created, state=ProposalState.STAGED, who=ARM),),
    )
