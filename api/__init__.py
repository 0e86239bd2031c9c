"""Owns: the REST door that speaks Azure's words (ARM resources, blob uploads, tokens) to the services of the other rooms.
May import: monitoring, gateway, deployments, endpoints, workspaces, studio.lib.
Start reading: urls.py, then views/base.py
"""
