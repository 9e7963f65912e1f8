"""Every tool there is. Four are not listed: the first message and other tools say what they do, more shortly."""

from typing import Any

from tools import passing, proposing, querying, reading, reporting, sweeping
from tools.registry import Tool, make_tool

TOOLS: list[Tool] = [
    make_tool(reading.list_runs),
    make_tool(reading.read_run),
    make_tool(reading.read_metrics),
    make_tool(reading.read_log),
    make_tool(reading.compare_runs),
    make_tool(querying.query_metrics),
    make_tool(querying.search_so_far, listed=False),
    make_tool(querying.lessons_learnt),
    make_tool(reading.list_proposals, listed=False),
    make_tool(reading.read_report),
    make_tool(reading.search_space, listed=False),
    make_tool(proposing.suggest_configs),
    make_tool(proposing.check_config, listed=False),
    make_tool(
        proposing.stage_proposal,
        changes=proposing.changes_schema,
        expected=proposing.expected_schema,
        also_expected=proposing.also_expected_schema,
    ),
    make_tool(sweeping.stage_sweep, ranges=sweeping.any_ranges),
    make_tool(passing.pass_round),
    make_tool(proposing.end_search),
    make_tool(reporting.write_report),
]


def outline() -> list[dict[str, Any]]:
    """All tools as the API wants them, before there is a run that they could be about."""
    return [tool.schema(None) for tool in TOOLS]
