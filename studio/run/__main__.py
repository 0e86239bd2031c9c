"""`python -m studio.run`: start the installation below STUDIO_HOME, stay in the foreground, stop all of it at SIGINT or SIGTERM."""

from __future__ import annotations

import sys

import django


def main() -> int:
    django.setup()
    from studio.run.foreground import run

    return run()


if __name__ == "__main__":
    sys.exit(main())
