"""Pages of this room: each fetches with permission, asks one service, renders."""
