from __future__ import annotations

import pytest

from workspaces.builds.failures import KINDS, explain, explain_timeout
from workspaces.builds.pip_list import parse_pip_list

SPEC = parse_pip_list("numpy<1.24\ncontourpy==1.3.3\nfoo @ https://host/foo-1.0-py3-none-any.whl\n")


@pytest.mark.parametrize(
    ("output", "kind", "lines"),
    [
        ("error: failed to write to file: No space left on device (os error 28)", "disk_full", ()),
        (
            "error: Failed to fetch: `https://pypi.org/simple/numpy/`\n  cause: client error (Connect)\n  cause: dns error",
            "network",
            (),
        ),
        (
            "error: No solution found when resolving dependencies\n  cause: Because contourpy==1.3.3 depends on numpy>=1.25 and "
            "you require contourpy==1.3.3, we can conclude that you require numpy>=1.25.\n"
            "         And because you require numpy<1.24, we can conclude that your requirements are unsatisfiable.",
            "conflict",
            (1, 2),
        ),
        (
            "error: Failed to download `foo @ https://host/foo-1.0-py3-none-any.whl`\n"
            "  cause: HTTP status client error (404 Not Found) for url (https://host/foo-1.0-py3-none-any.whl)",
            "address_not_found",
            (3,),
        ),
        (
            "error: Failed to build `contourpy==1.3.3`\n  cause: The build backend returned an error\n"
            "  error: command 'gcc' failed: No such file or directory",
            "needs_compiler",
            (2,),
        ),
        ("error: Hash mismatch for `numpy==1.23`", "hash_mismatch", ()),
        ("error: something never seen", "unknown", ()),
    ],
)
def test_the_installers_words_are_understood(output: str, kind: str, lines: tuple[int, ...]) -> None:
    explanation = explain(output.splitlines(), SPEC, "3.11")
    assert (explanation.kind, explanation.lines) == (kind, lines)
    assert explanation.kind in KINDS
    assert explanation.message
    assert explanation.hint


def test_a_deadline_is_told_in_seconds() -> None:
    assert "longer than 30 s" in explain_timeout(30.0).message
