"""Owns: files by content hash, and the trees of models and code made of them.
May import: the standard library and studio.lib.errors; no Django, no other room.
Start reading: blobs.py, then trees.py
"""
