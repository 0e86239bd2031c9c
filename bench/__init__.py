"""Measurements of the real stack, printed; never tests. Each starts a studio of its own: `python -m bench.<name>`."""
