"""Owns: what happened and what it cost: scraped counters, minute, hour and day buckets, charts, money.
May import: gateway, deployments, endpoints, workspaces, studio.lib.
Start reading: rollup.py for what a bucket holds, ingest.py for how it is filled, series.py for how it is read.
"""
