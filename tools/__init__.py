"""What a model may call: one typed function each. Nothing here approves, runs a shell or leaves the workspace."""

from tools.catalog import TOOLS, outline
from tools.context import Asked, ToolContext
from tools.proposing import DENIED, suggestions
from tools.registry import Answer, Toolbox
from tools.reporting import checked_draft

__all__ = [
    "DENIED",
    "TOOLS",
    "Answer",
    "Asked",
    "ToolContext",
    "Toolbox",
    "checked_draft",
    "outline",
    "suggestions",
]
