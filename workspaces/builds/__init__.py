"""Owns: turning a conda file or pip list into a virtual environment on disk, and the runtime an instance starts with.
May import: the standard library, packaging, PyYAML, uv's binary, studio.lib.errors; no Django, no other room.
Start reading: builder.py
"""
