"""Doors of this room for browsers: fetch with permission, one form, one service call, render."""
