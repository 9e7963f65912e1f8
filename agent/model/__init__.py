"""The chat interface and the models behind it, what asking them may cost."""

from agent.model.budget import TURNS, Budget, Price, PriceTables, Work, price_of
from agent.model.chat import ChatModel, Message, ModelError, Reply, Sees, TooLong, Usage
from agent.model.offline import OfflineResearcher
from agent.model.redaction import redacted
from agent.model.settings import ModelSettings, ModelTables, model_settings

__all__ = [
    "TURNS",
    "Budget",
    "ChatModel",
    "Message",
    "ModelError",
    "ModelSettings",
    "ModelTables",
    "OfflineResearcher",
    "Price",
    "PriceTables",
    "Reply",
    "Sees",
    "TooLong",
    "Usage",
    "Work",
    "model_settings",
    "price_of",
    "redacted",
]
