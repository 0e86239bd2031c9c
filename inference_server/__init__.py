"""Owns: the process that holds a model and runs an Azure scoring script; one unix socket or port, workers, a supervisor.
May import: the standard library, httptools, uvloop, orjson; flask and inference-schema only when the script needs them.
Start reading: supervisor.py (processes), then engine.py (how one request reaches run()); script.py holds the contract.
"""
