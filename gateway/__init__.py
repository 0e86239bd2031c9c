"""Owns: rows -> route table -> Envoy configuration (pure) -> files moved into place.
May import: deployments, endpoints, workspaces, studio.lib.
Start reading: routes.py, then envoy.py and publish.py.
"""
