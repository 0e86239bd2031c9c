"""The steps of each operation, by name, in order. Pure."""

from __future__ import annotations

QUOTA = "Checking quota"
BUILD = "Building environment"
FETCH = "Fetching model"
SCALE_FIRST = "Scaling the serving revision"
START = "Starting instances"
READY = "Waiting for readiness"
ROUTE = "Routing"
RETIRE = "Retiring surplus instances"
DRAIN = "Draining"
STOP = "Stopping instances"
REMOVE = "Removing"

CREATE = [QUOTA, BUILD, FETCH, START, READY, ROUTE]
UPDATE = [QUOTA, BUILD, FETCH, START, READY, ROUTE, RETIRE]
SCALE_THEN_UPDATE = [QUOTA, SCALE_FIRST, BUILD, FETCH, START, READY, ROUTE, RETIRE]
SCALE = [QUOTA, START, READY, ROUTE, RETIRE]
DELETE = [DRAIN, STOP, REMOVE]
