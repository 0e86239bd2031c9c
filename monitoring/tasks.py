"""Doors for Celery: one call each."""

from __future__ import annotations

import logging

from celery import shared_task
from django.utils import timezone

from gateway.errors import GatewayUnreachable
from monitoring import ingest, retention, scrape

log = logging.getLogger(__name__)


@shared_task(ignore_result=True)
def tick_scrape() -> None:
    """Read every counter and write down what came on top. Safe to run twice, late, or at once with another.

    While Envoy does not answer its time stays unmeasured; the instances are read all the same.
    """
    try:
        ingest.ingest_traffic(scrape.read_gateway())
    except GatewayUnreachable as error:
        log.warning("Requests were not measured: %s", error)
    ingest.ingest_instances(scrape.read_instances(), timezone.now())


@shared_task(ignore_result=True)
def tick_retention() -> None:
    """Delete what is older than the settings allow. Safe to run twice."""
    retention.delete_old(timezone.now())
