"""Owns: starting and stopping one installation: `python -m studio.run` is the foreground program behind `make run`.
May import: every room; no room imports it.
Start reading: __main__.py, then parts.py.
"""
