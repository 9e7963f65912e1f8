"""Notifications of a session: who gets them, and by which way."""

from agent.notify.notifier import Event, NotifyTables, notifier_of, notify_settings, try_out

__all__ = [
    "Event",
    "NotifyTables",
    "notifier_of",
    "notify_settings",
    "try_out",
]
