"""The Celery application and every schedule of the studio.

Four queues, so that none starves another: `operations` (steps a person waits for), `routing` (what the gateway has in force),
`ticks` (watching and repairing) and `builds` (environments, which may take minutes).
"""

from __future__ import annotations

import os

from celery import Celery
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "studio.settings")

app = Celery("studio")


def _configuration() -> dict[str, object]:
    return dict(
        broker_url=settings.REDIS_URL,
        broker_connection_retry_on_startup=True,
        # A step lost with a killed worker is queued again by the watch tick long before the broker would give it back.
        broker_transport_options={"visibility_timeout": 3600, "socket_keepalive": True},
        task_ignore_result=True,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        task_default_queue="operations",
        task_routes={
            "*.tick_*": {"queue": "ticks"},
            "gateway.tasks.publish": {"queue": "routing"},
            "workspaces.tasks.build_environment": {"queue": "builds"},
        },
        timezone="UTC",
        beat_schedule={
            # A tick that nobody could take in time is dropped: the next one does the same work.
            "watch instances": {"task": "deployments.tasks.tick_watch", "schedule": 2.0, "options": {"expires": 2.0}},
            "repair gateway drift": {
                "task": "gateway.tasks.tick_drift",
                "schedule": 15.0,
                "options": {"expires": 15.0},
            },
            "resume lost builds": {
                "task": "workspaces.tasks.tick_builds",
                "schedule": 5.0,
                "options": {"expires": 5.0},
            },
            "measure": {"task": "monitoring.tasks.tick_scrape", "schedule": 10.0, "options": {"expires": 10.0}},
            "forget old metrics": {
                "task": "monitoring.tasks.tick_retention",
                "schedule": 3600.0,
                "options": {"expires": 600.0},
            },
            "collect garbage": {
                "task": "workspaces.tasks.tick_garbage",
                "schedule": 3600.0,
                "options": {"expires": 600.0},
            },
        },
    )


# read when first needed: the settings module may still be importing this package
app.add_defaults(_configuration)
app.autodiscover_tasks()
