"""Owns: the Django project: settings, site map, Celery schedule, start-up, small shared tools (lib/). No models.
May import: everything from urls, celery and checks; lib/ imports no room.
Start reading: settings.py, then celery.py.
"""

from studio.celery import app as celery_app

__all__ = ["celery_app"]
