"""Doors for browsers: fetch with permission, ask a question, render."""
