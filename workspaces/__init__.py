"""Owns: what people own: workspaces, members, access tokens, registered models, environments, code; operations; activity.
May import: studio.lib.
Start reading: models/, then services/ and lifecycle.py.
"""
