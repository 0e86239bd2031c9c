"""Owns: where instances run - the contract of a compute driver, and the local driver that fulfils it on this machine.
May import: the standard library and psutil; no Django, no other room.
Start reading: contract.py, then local.py, then launcher.py.
"""
