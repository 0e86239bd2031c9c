"""Verbs a user may ask for in this room: keyword-only, atomic, recorded."""
