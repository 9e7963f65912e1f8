"""What a kill can leave between two files, and how it is made good: from the files alone, before anything goes on."""

from agent.analysis import Analyst
from lab.judge import record_verdict
from lab.space import Group
from lab.store import Lab, ProposalState, RunState


def recover(lab: Lab, analyst: Analyst, group: Group, session: str) -> None:
    """Close the gaps, each as the session would have gone on.

    Args:
        lab: where the runs and the proposals are.
        analyst: whose analyses may have been killed after their report.
        group: that the session works on.
        session: its name.
    """
    notebook, proposals = lab.notebook, lab.proposals
    runs = notebook.runs(group)
    by_proposal = {run.proposal: run for run in runs if run.proposal}
    for run in runs:
        if run.session == session and run.state is RunState.FINISHED:
            record_verdict(notebook, run)  # killed between a run's end and its verdict
        if run.session == session and run.state.ended:
            analyst.recover(run)
    for proposal in proposals.all():
        mine, state = by_proposal.get(proposal.proposal_id), proposal.state
        if mine is not None and state is ProposalState.APPROVED:
            state = ProposalState.RUNNING
            proposals.decide(proposal.proposal_id, state, "session", run_id=mine.run_id)
        if proposal.sweep is None and mine is not None and state is ProposalState.RUNNING and mine.state.ended:
            proposals.decide(proposal.proposal_id, ProposalState.DONE, "session", run_id=mine.run_id)
    proposals.tidy(group)
