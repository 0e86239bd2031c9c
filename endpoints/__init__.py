"""Owns: a stable address: auth mode, keys, tokens, the traffic allocation and its history.
May import: workspaces, studio.lib.
Start reading: traffic.py, then models.py and services.py.
"""
