"""Reads the installer's words about a failed build and says what they mean to the author of the file. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from packaging.utils import canonicalize_name

from .spec import EnvironmentSpec, Requirement

KINDS = (
    "no_such_package", "no_such_version", "conflict", "needs_compiler", "no_wheel", "python_mismatch", "address_not_found",
    "hash_mismatch", "network", "disk_full", "timeout", "unknown",
)  # fmt: skip
SOURCE_NEEDED = "building from source is disabled"
"""What uv says when a package has no ready-made wheel and may not be compiled."""

_NETWORK = re.compile(
    r"dns error|error sending request|tcp connect|connection (?:refused|reset)|operation timed out|timed out"
    r"|could not resolve host|network connectivity is disabled|failed to (?:lookup|connect)|certificate|tunnel error"
    r"|HTTP status server error",
    re.IGNORECASE,
)
_DISK = re.compile(r"no space left on device|disk quota exceeded|os error 28\b|file too large", re.IGNORECASE)
_NOT_FOUND = re.compile(
    r"Because ([\w.\[\],-]+) was not found in (?:the package registry|the provided package locations|the cache)"
)
_NO_VERSION = re.compile(
    r"Because (?:there (?:is|are) no versions? of ([\w.-]+)|only ([\w.-]+?)[<>=!~]\S* (?:is|are) available)"
)
_PYTHON = re.compile(r"(?:requires|depends on|does not satisfy) (Python ?[<>=!~][\d.*<>=!~,]*)", re.IGNORECASE)
_WHEELS = re.compile(r"has no (?:usable )?wheels|no (?:compatible )?wheels? .{0,40}(?:platform|ABI|tag)", re.IGNORECASE)
_BUILD = re.compile(r"Failed to (?:download and )?build `([^`]+)`|build backend returned an error", re.IGNORECASE)
_COMPILER = re.compile(
    r"command '?\[?'?(?:gcc|g\+\+|cc|clang|x86_64|aarch64)|No such file or directory: '(?:gcc|cc|g\+\+)'|rustc|cargo|cmake",
    re.I,
)


@dataclass(frozen=True)
class Explanation:
    """`kind` is one of KINDS; `lines` are those of the user's file that are to blame, empty when it cannot be told."""

    kind: str
    message: str
    probable_cause: str
    hint: str
    lines: tuple[int, ...] = ()


def explain(output: Sequence[str], spec: EnvironmentSpec, python: str) -> Explanation:
    """What the lines uv printed mean. `python` is the version the environment was built for."""
    text = " ".join(line.strip() for line in output)
    for reader in (_disk, _unbuildable, _unresolvable, _unreachable):
        explanation = reader(text, spec, python)
        if explanation:
            return explanation
    last = next((line.strip() for line in reversed(output) if line.strip().startswith(("error", "cause"))), "")
    last = last or next((line.strip() for line in reversed(output) if line.strip()), "no output")
    cause = "The installer stopped for a reason that is not one of the usual ones."
    return Explanation("unknown", f"Installing the packages failed: {last}", cause, "Read the end of the build log.")


def explain_timeout(seconds: float) -> Explanation:
    """The build was killed at its deadline."""
    cause = "A slow network, a very large package, or one that is compiled from source."
    hint = "Try again (what was fetched is kept), ask for fewer or older packages, or raise the limit in the settings."
    return Explanation("timeout", f"Installing the packages took longer than {seconds:.0f} s.", cause, hint)


def _disk(text: str, spec: EnvironmentSpec, python: str) -> Explanation | None:
    if not _DISK.search(text):
        return None
    cause = "The disk that holds the studio's data is full."
    hint = "Free space, delete environments nothing uses, then try again."
    return Explanation("disk_full", "The packages do not fit on the disk.", cause, hint)


def _unbuildable(text: str, spec: EnvironmentSpec, python: str) -> Explanation | None:
    failed = _BUILD.search(text)
    if not failed or (_NETWORK.search(text) and "backend" not in text):
        return None
    name = (failed[1] or "a package").split(" @ ")[0]
    blamed = _mentioned(name, spec)
    needs = (
        "it needs a compiler or a library this machine lacks"
        if _COMPILER.search(text)
        else "its own build script failed"
    )
    hint = f"Ask for a version of it that has a wheel for Python {python} (usually a newer one), or for another Python."
    message = f"{_at(blamed)}'{name}' has no ready-made wheel and could not be built from source: {needs}."
    cause = f"The author published no wheel of '{name}' for Python {python} on this platform."
    return Explanation("needs_compiler", message, cause, hint, _lines(blamed))


def _unresolvable(text: str, spec: EnvironmentSpec, python: str) -> Explanation | None:
    if "No solution found" not in text:
        return None
    blamed = _required(text, spec)
    if SOURCE_NEEDED in text or (_WHEELS.search(text) and not _NO_VERSION.search(text)):
        return _no_wheel(blamed, python)
    if found := _NOT_FOUND.search(text):
        return _unknown_package(found[1], text, spec, blamed)
    if found := _PYTHON.search(text):
        message = (
            f"{_at(blamed)}{_names(blamed)} needs {found[1].rstrip(',')}, and the environment has Python {python}."
        )
        hint = "Ask for that Python in the file, or for a version of the package made for this one."
        return Explanation(
            "python_mismatch", message, "The package does not support this Python.", hint, _lines(blamed)
        )
    if found := _NO_VERSION.search(text):
        name = found[1] or found[2]
        same = [item for item in blamed if canonicalize_name(item.name) == canonicalize_name(name.split("==")[0])]
        if same:
            message = f"{_at(same)}There is no version of '{same[0].name}' that satisfies '{same[0].text}'."
            hint = "Look up the versions on pypi.org; conda's channels sometimes have others."
            return Explanation(
                "no_such_version", message, "The version was never published on PyPI.", hint, _lines(same)
            )
    sentences = re.split(r"(?<=unsatisfiable\.)", text.split("cause: ", 1)[-1])
    message = f"{_at(blamed)}The packages exclude each other: {_names(blamed)}. {sentences[0].strip()[:600]}"
    hint = "Widen or remove one of the version constraints."
    return Explanation("conflict", message, "Two packages ask for different versions of a third.", hint, _lines(blamed))


def _no_wheel(blamed: list[Requirement], python: str) -> Explanation:
    message = f"{_at(blamed)}{_names(blamed)} has no ready-made wheel for Python {python} on this platform."
    hint = "Ask for another version (usually a newer one) or another Python."
    return Explanation(
        "no_wheel", message, "The author published only source code for this Python.", hint, _lines(blamed)
    )


def _unknown_package(name: str, text: str, spec: EnvironmentSpec, blamed: list[Requirement]) -> Explanation:
    same = _mentioned(name, spec)
    wanted_by = "" if same else f", which {_names(blamed)} depends on,"
    message = f"{_at(same or blamed)}There is no package '{name}'{wanted_by} on PyPI."
    cause = "The name is misspelt, the package is only in conda's channels, or it is private."
    hint = "Look the name up on pypi.org; for a private package add its index with --extra-index-url."
    return Explanation("no_such_package", message, cause, hint, _lines(same or blamed))


def _unreachable(text: str, spec: EnvironmentSpec, python: str) -> Explanation | None:
    blamed = [item for item in spec.requirements if " @ " in item.text and item.text.split(" @ ")[1].split()[0] in text]
    if "hash mismatch" in text.lower():
        hint = "Compare the hashes in the file with those on pypi.org."
        return Explanation("hash_mismatch", "A package is not the one its hash names.", "The file was replaced.", hint)
    if re.search(r"HTTP status client error \(40[34]", text):
        message = f"{_at(blamed)}An address does not hold a package: it answered that there is nothing."
        cause = "The address is wrong, or the file was removed."
        return Explanation("address_not_found", message, cause, "Open the address in a browser.", _lines(blamed))
    if not _NETWORK.search(text):
        return None
    host = re.search(r"https?://([^/\s`)]+)", text)
    message = f"{_at(blamed)}The package index{f' ({host[1]})' if host else ''} cannot be reached from this machine."
    cause = "The machine has no way to the network, a proxy is missing, or the index is down."
    hint = "Check the network (HTTPS_PROXY, UV_INDEX_URL), then try again; what was fetched is kept."
    return Explanation("network", message, cause, hint, _lines(blamed))


def _required(text: str, spec: EnvironmentSpec) -> list[Requirement]:
    """The requirements uv names after "you require", in the file's order."""
    clauses = re.findall(r"you require (.+?)(?:, we can conclude|$)", text)
    return [item for item in spec.requirements if any(_names_it(clause, item.name) for clause in clauses)]


def _mentioned(text: str, spec: EnvironmentSpec) -> list[Requirement]:
    return [item for item in spec.requirements if _names_it(text, item.name)]


def _names_it(text: str, name: str) -> bool:
    pattern = re.escape(canonicalize_name(name)).replace(r"\-", "[-_.]")
    return re.search(rf"(?<![\w.-]){pattern}(?![\w-]|\.\w)", text, re.IGNORECASE) is not None


def _at(blamed: list[Requirement]) -> str:
    lines = _lines(blamed)
    if not lines:
        return ""
    return f"Line {lines[0]}: " if len(lines) == 1 else f"Lines {', '.join(str(line) for line in lines)}: "


def _lines(blamed: list[Requirement]) -> tuple[int, ...]:
    return tuple(sorted({item.line for item in blamed if item.line}))


def _names(blamed: list[Requirement]) -> str:
    return ", ".join(f"'{item.text}'" for item in blamed) or "A package"
