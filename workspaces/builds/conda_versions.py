"""Conda's way of writing "this package, this version" in PyPI's terms (PEP 440). Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from packaging.specifiers import InvalidSpecifier, SpecifierSet

_NAME = re.compile(
    r"^(?:(?P<channel>[\w./:-]+?)::)?(?P<name>[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?)(?P<rest>.*)$"
)
_BRACKETS = re.compile(r"^(?P<before>[^\[\]]*)\[(?P<inside>[^\[\]]*)\]$")
_KEY_VALUE = re.compile(
    r"\s*(?P<key>\w+)\s*=\s*(?:'(?P<single>[^']*)'|\"(?P<double>[^\"]*)\"|(?P<bare>[^,'\"]*))\s*(?:,|$)"
)
_COMPARISON = re.compile(r"^(?P<operator>===|==|!=|<=|>=|~=|=|<|>)?\s*(?P<version>[A-Za-z0-9_.!+*-]+)$")
_PLAIN_RELEASE = re.compile(r"^(?:\d+!)?\d+(?:\.\d+)*$")


class VersionNotUnderstood(ValueError):
    """A version constraint that PyPI's installers have no words for."""


@dataclass(frozen=True)
class CondaMatch:
    """One dependency line of a conda file. `specifier` is PEP 440 ("" for any version)."""

    name: str
    specifier: str
    channel: str = ""
    build: str = ""


def parse_match(text: str) -> CondaMatch:
    """Read a line such as "conda-forge::numpy>=1.22,<2" or "scikit-learn=1.2=py310h".

    Raises VersionNotUnderstood with a message for the user.
    """
    text, keys = _take_brackets(text.strip())
    found = _NAME.match(text)
    if not found:
        raise VersionNotUnderstood(f"'{text}' is not a package name with an optional version")
    version, build = _split_build(found["rest"].strip())
    version = keys.pop("version", "") or version
    build = keys.pop("build", "") or build
    channel = keys.pop("channel", "") or found["channel"] or ""
    keys.pop("subdir", None)
    if keys:
        raise VersionNotUnderstood(f"the option '{sorted(keys)[0]}' in brackets has no equivalent on PyPI")
    return CondaMatch(found["name"].lower(), to_pep440(version), channel, build)


def _take_brackets(text: str) -> tuple[str, dict[str, str]]:
    found = _BRACKETS.match(text)
    if not found:
        return text, {}
    inside, keys, position = found["inside"], {}, 0
    while position < len(inside):
        pair = _KEY_VALUE.match(inside, position)
        if not pair or pair.end() == position:
            raise VersionNotUnderstood(f"'[{inside}]' is not a list of key=value pairs")
        keys[pair["key"]] = pair["single"] or pair["double"] or (pair["bare"] or "").strip()
        position = pair.end()
    return found["before"].strip(), keys


def _split_build(rest: str) -> tuple[str, str]:
    """Separate "=1.2=py310_0" or "1.2 py310_0" into the version's constraint and the build string."""
    if not rest:
        return "", ""
    words = re.sub(r"([,|<>=!~])\s+", r"\1", re.sub(r"\s+([,|])", r"\1", rest)).split()
    if len(words) > 2:
        raise VersionNotUnderstood(f"'{rest}' has more parts than a version and a build")
    if len(words) == 2:
        return words[0], words[1].lstrip("=")
    found = re.match(r"^(={1,2}[^=<>!~,|]+)=([^=<>!~,|]+)$", words[0])
    return (found[1], found[2]) if found else (words[0], "")


def to_pep440(constraint: str) -> str:
    """Conda's version constraint as PEP 440: "=1.2" → "==1.2.*", ">=1,<2" as it is, "*" → "".

    Raises VersionNotUnderstood for alternatives ("1.2|1.3") and for what is no version.
    """
    constraint = constraint.strip().strip("()")
    if constraint in {"", "*", "=*", "==*", ">=0"}:
        return ""
    if "|" in constraint:
        raise VersionNotUnderstood(f"'{constraint}' lists alternatives ('|'), which PyPI's installers cannot express")
    joined = ",".join(filter(None, (_one(part.strip()) for part in constraint.split(","))))
    try:
        SpecifierSet(joined)
    except InvalidSpecifier as error:
        raise VersionNotUnderstood(f"'{constraint}' is not a version constraint") from error
    return joined


def _one(part: str) -> str:
    found = _COMPARISON.match(part)
    if not found:
        raise VersionNotUnderstood(f"'{part}' is not a version constraint")
    operator, version = found["operator"], found["version"].replace("_", ".")
    if version == "*":
        return ""
    if operator in {"<", "<=", ">", ">=", "~="}:
        return operator + re.sub(r"\.?\*$", "", version)
    if version.endswith("*"):
        return f"{'!=' if operator == '!=' else '=='}{re.sub(r'[.]?[*]$', '', version)}.*"
    if operator == "=" and _PLAIN_RELEASE.match(version):
        return f"=={version}.*"
    return f"{'==' if operator in {None, '='} else operator}{version}"
