"""Draw docs/reference/states.md from the tables of allowed moves: `make docs`."""

from __future__ import annotations

import os
from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "states.md"
HEAD = """# States

Drawn from the tables in each room's `lifecycle.py` by `make docs`; a test compares them. Only `move()` in
`workspaces/lifecycle.py` writes a state: from one that the table allows, and only if the row still is what the writer last saw.
"""


def page() -> str:
    """The whole document."""
    from deployments.lifecycle import INSTANCE_TABLE
    from deployments.lifecycle import TABLE as DEPLOYMENT_TABLE
    from endpoints.lifecycle import TABLE as ENDPOINT_TABLE
    from workspaces.lifecycle import BUILD_TABLE

    tables = {
        "Endpoint": ENDPOINT_TABLE,
        "Deployment": DEPLOYMENT_TABLE,
        "Instance": INSTANCE_TABLE,
        "Environment build": BUILD_TABLE,
    }
    parts = [HEAD]
    for name, table in tables.items():
        moves = [f"    {old} --> {new}" for old, news in table.items() for new in sorted(news)]
        parts.append("\n".join([f"## {name}", "", "```mermaid", "stateDiagram-v2", *moves, "```", ""]))
    return "\n".join(parts)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    import django

    django.setup()
    PAGE.write_text(page())
