"""What was done: the records, the runs and proposals on disk, the index over them, questions to all of them."""

from lab.store.creation import create_run
from lab.store.curves import Array, Curve, Outline, mean_curve, outline, run_curves
from lab.store.films import Film, Films, Kind, films_of
from lab.store.index import Index
from lab.store.lab import Lab
from lab.store.legacy import look, store
from lab.store.lineage import control, is_control, source_file
from lab.store.naming import called_so, give_name, names_in, number_of, proposal_called, run_called
from lab.store.notebook import Notebook, active_time, log_tail
from lab.store.notes import (
    ENTRY,
    Comment,
    LogEntry,
    add_comment,
    add_note,
    comments_in,
    keep_entry,
    log_lines,
    log_of,
    notes_in,
)
from lab.store.proposal import Decision, Prediction, Proposal, ProposalState, Span, Sweep
from lab.store.proposals import Proposals, require_seen
from lab.store.questions import Questions, Wanted
from lab.store.records import (
    UNDONE,
    Confirmation,
    Evaluation,
    MetricSummary,
    Pruning,
    ReplicateResult,
    Resume,
    RunRecord,
    RunState,
    Score,
    StopReason,
    TrainerSummary,
    Verdict,
)
from lab.store.rows import Row
from lab.store.selection import Selection
from lab.store.session import (
    Approval,
    Budgets,
    Leading,
    NightPlan,
    SessionRecord,
    SlotSeen,
    SlotsSeen,
    Spent,
    Trade,
    Trouble,
)
from lab.store.sessions import LATEST, Sessions
from lab.store.summary import CONFIDENCE, COUNTS, FIRST, SHOWN, leading, map_metrics, score_of, spread, summarize
from lab.store.tried import runs_that_tried, twin_of
from lab.store.unfit import refuse_sweep, refuse_unfit
from lab.store.varied import Setting, settings_of, varied_keys

__all__ = [
    "CONFIDENCE",
    "COUNTS",
    "ENTRY",
    "FIRST",
    "LATEST",
    "SHOWN",
    "UNDONE",
    "Approval",
    "Array",
    "Budgets",
    "Comment",
    "Confirmation",
    "Curve",
    "Decision",
    "Evaluation",
    "Film",
    "Films",
    "Index",
    "Kind",
    "Lab",
    "Leading",
    "LogEntry",
    "MetricSummary",
    "NightPlan",
    "Notebook",
    "Outline",
    "Prediction",
    "Proposal",
    "ProposalState",
    "Proposals",
    "Pruning",
    "Questions",
    "ReplicateResult",
    "Resume",
    "Row",
    "RunRecord",
    "RunState",
    "Score",
    "Selection",
    "SessionRecord",
    "Sessions",
    "Setting",
    "SlotSeen",
    "SlotsSeen",
    "Span",
    "Spent",
    "StopReason",
    "Sweep",
    "Trade",
    "TrainerSummary",
    "Trouble",
    "Verdict",
    "Wanted",
    "active_time",
    "add_comment",
    "add_note",
    "called_so",
    "comments_in",
    "control",
    "create_run",
    "films_of",
    "give_name",
    "is_control",
    "keep_entry",
    "leading",
    "log_lines",
    "log_of",
    "log_tail",
    "look",
    "map_metrics",
    "mean_curve",
    "names_in",
    "notes_in",
    "number_of",
    "outline",
    "proposal_called",
    "refuse_sweep",
    "refuse_unfit",
    "require_seen",
    "run_called",
    "run_curves",
    "runs_that_tried",
    "score_of",
    "settings_of",
    "source_file",
    "spread",
    "store",
    "summarize",
    "twin_of",
    "varied_keys",
]
