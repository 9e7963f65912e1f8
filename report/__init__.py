"""What is shown of a run and of a night: on the terminal, in reports and digests, on the page."""

from report.arms import Arms, arms_of, compared_arms, group_of
from report.best import is_it_better
from report.checking import check_report
from report.comparing import compared, comparison
from report.confirmations import became_text, contenders, since_text
from report.confirming import confirming_text
from report.digest import write_digest
from report.draft import ReportDraft
from report.exporting import export_run
from report.facts import (
    LISTED,
    changed_text,
    difference_text,
    early_ends_of,
    interval_text,
    name_text,
    notes_of,
    proposed_text,
    verdict_text,
    warm_start,
)
from report.headline import Headline, headline_of
from report.learnt import (
    effect_data,
    effect_lines,
    effect_text,
    effects_in,
    share_text,
    size_text,
    span_text,
    why_nothing,
)
from report.live import LineView, MeasurementTable, SilentView, make_view, print_preset
from report.morning import digest_now
from report.outcome import outcome
from report.pictures import compared_with, objective_bands
from report.planning import no_room, no_room_text, outlook_lines, plan_text, proof_text
from report.plots import learning_curves
from report.progress import believed_of, progress_of
from report.run_report import Report, report_of, write_report
from report.session_status import status_lines
from report.show import (
    emit_json,
    particulars,
    passed_over,
    print_arms,
    print_checked,
    print_comparison,
    print_confirmation,
    print_markdown,
    print_space,
    proposal_row,
    proposals_table,
    runs_table,
    say,
    say_where,
    show_run,
    space_rows,
)
from report.status import print_status, status_of
from report.templates import render
from report.trade import marked
from report.trouble import trouble_text
from report.view import RunView, idle_text, outcome_text, proposal_state, view_of

__all__ = [
    "LISTED",
    "Arms",
    "Headline",
    "LineView",
    "MeasurementTable",
    "Report",
    "ReportDraft",
    "RunView",
    "SilentView",
    "arms_of",
    "became_text",
    "believed_of",
    "changed_text",
    "check_report",
    "compared",
    "compared_arms",
    "compared_with",
    "comparison",
    "confirming_text",
    "contenders",
    "difference_text",
    "digest_now",
    "early_ends_of",
    "effect_data",
    "effect_lines",
    "effect_text",
    "effects_in",
    "emit_json",
    "export_run",
    "group_of",
    "headline_of",
    "idle_text",
    "interval_text",
    "is_it_better",
    "learning_curves",
    "make_view",
    "marked",
    "name_text",
    "no_room",
    "no_room_text",
    "notes_of",
    "objective_bands",
    "outcome",
    "outcome_text",
    "outlook_lines",
    "particulars",
    "passed_over",
    "plan_text",
    "print_arms",
    "print_checked",
    "print_comparison",
    "print_confirmation",
    "print_markdown",
    "print_preset",
    "print_space",
    "print_status",
    "progress_of",
    "proof_text",
    "proposal_row",
    "proposal_state",
    "proposals_table",
    "proposed_text",
    "render",
    "report_of",
    "runs_table",
    "say",
    "say_where",
    "share_text",
    "show_run",
    "since_text",
    "size_text",
    "space_rows",
    "span_text",
    "status_lines",
    "status_of",
    "trouble_text",
    "verdict_text",
    "view_of",
    "warm_start",
    "why_nothing",
    "write_digest",
    "write_report",
]
