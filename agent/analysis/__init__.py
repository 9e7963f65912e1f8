"""One run analysed: the loop between a model and the tools, what it is told first, its transcript, its replay."""

from agent.analysis.analyst import Analyst
from agent.analysis.job import AnalysisJob, wait_for
from agent.analysis.outset import Outset
from agent.analysis.replay import replay_run
from agent.analysis.transcript import Answered, answer_in, opening_in

__all__ = [
    "AnalysisJob",
    "Analyst",
    "Answered",
    "Outset",
    "answer_in",
    "opening_in",
    "replay_run",
    "wait_for",
]
