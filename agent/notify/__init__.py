"""Notifications of a session: who gets them, and by which way."""
