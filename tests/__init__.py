"""Promises, mirroring the rooms."""
