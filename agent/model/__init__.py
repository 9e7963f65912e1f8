"""The chat interface and the models behind it, what asking them may cost."""

from agent.model.budget import TURNS, Budget, Price, PriceTables, Work, price_of
from agent.model.chat import Awaited, ChatModel, Message, ModelError, Reply, Sees, TooLong, Usage
from agent.model.handover import Call, Handover, Turn
from agent.model.offline import OfflineResearcher
from agent.model.outside import AGENT, Absent, OutsideAgent
from agent.model.redaction import redacted
from agent.model.settings import ModelSettings, ModelTables, model_settings

__all__ = [
    "AGENT",
    "TURNS",
    "Absent",
    "Awaited",
    "Budget",
    "Call",
    "ChatModel",
    "Handover",
    "Message",
    "ModelError",
    "ModelSettings",
    "ModelTables",
    "OfflineResearcher",
    "OutsideAgent",
    "Price",
    "PriceTables",
    "Reply",
    "Sees",
    "TooLong",
    "Turn",
    "Usage",
    "Work",
    "model_settings",
    "price_of",
    "redacted",
]
