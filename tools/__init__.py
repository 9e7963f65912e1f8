"""What a model may call: one typed function each. Nothing here approves, runs a shell or leaves the workspace."""

from tools.catalog import TOOLS, outline
from tools.context import Asked, ToolContext
from tools.proposing import DENIED, Changes, Expectation, Forecast, suggestions
from tools.registry import Answer, Tool, Toolbox, make_tool
from tools.reporting import checked_draft

__all__ = [
    "DENIED",
    "TOOLS",
    "Answer",
    "Asked",
    "Changes",
    "Expectation",
    "Forecast",
    "Tool",
    "ToolContext",
    "Toolbox",
    "checked_draft",
    "make_tool",
    "outline",
    "suggestions",
]
