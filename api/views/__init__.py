"""Doors of the API: fetch with permission, read the body, call one service, answer."""
