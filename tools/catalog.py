"""Every tool there is."""

from tools import proposing, reading, reporting
from tools.registry import Tool, make_tool

TOOLS: list[Tool] = [
    make_tool(function)
    for function in (
        reading.list_runs,
        reading.read_run,
        reading.read_metrics,
        reading.read_log,
        reading.compare_runs,
        reading.list_proposals,
        reading.read_report,
        reading.search_space,
        proposing.suggest_configs,
        proposing.check_config,
        proposing.stage_proposal,
        proposing.end_search,
        reporting.write_report,
    )
]
