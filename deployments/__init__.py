"""Owns: model + code + environment + instances behind an endpoint; revisions; provisioning; compute/ drivers; quota.
May import: endpoints, workspaces, studio.lib.
Start reading: models.py, then services/ and reconcile/.
"""
