"""The lines of a pip list (requirements.txt, or `pip:` in a conda file): which are taken, and how. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from packaging.requirements import InvalidRequirement
from packaging.requirements import Requirement as Pep508

from .errors import EnvironmentInvalid
from .spec import EnvironmentSpec, Note, Requirement

MAX_FILE_CHARACTERS = 256 * 1024
_COMMENT = re.compile(r"(^|\s)#.*$")
_OPTION = re.compile(r"^(?P<option>--?[A-Za-z][\w-]*)(?:[=\s]\s*(?P<value>.*))?$")
_HASHES = re.compile(r"(?:\s+--hash[=\s]\s*\w+:[0-9a-fA-F]+)+\s*$")
_NAMED_BY_URL = re.compile(r"#(?:.*&)?egg=(?P<name>[\w.-]+)")
_WHEEL_NAME = re.compile(r"/(?P<name>[A-Za-z0-9_.]+?)-\d[^/]*\.(?:whl|tar\.gz|zip)$")
_INDEX_OPTIONS = {
    "-i": "--index-url",
    "--index-url": "--index-url",
    "--extra-index-url": "--extra-index-url",
    "-f": "--find-links",
    "--find-links": "--find-links",
}
_REFUSED = {
    "-r": "The file it names is not part of the environment. Put its lines here.",
    "-c": "The file it names is not part of the environment. Put the constraints at the packages.",
    "-e": "An editable install needs a folder of this machine. Register the folder as code, or name a package.",
    "--trusted-host": "Packages are fetched over verified https only. Remove the line.",
    "--no-binary": "Whether a package is compiled is the studio's choice. Remove the line.",
}
_LONG = {"--requirement": "-r", "--constraint": "-c", "--editable": "-e"}
_HARMLESS = {
    "--only-binary",
    "--prefer-binary",
    "--no-cache-dir",
    "--quiet",
    "-q",
    "--upgrade",
    "-U",
    "--require-hashes",
}


def parse_pip_list(text: str, *, python_wanted: str | None = None) -> EnvironmentSpec:
    """Read the text of a requirements.txt. Raises EnvironmentInvalid naming the line, and nothing else."""
    if len(text) > MAX_FILE_CHARACTERS:
        raise EnvironmentInvalid(0, "", f"The list is longer than {MAX_FILE_CHARACTERS // 1024} KiB.")
    lines = PipLines()
    for number, line in _logical_lines(text):
        lines.add(line, line=number)
    return EnvironmentSpec(
        python_wanted=python_wanted,
        requirements=tuple(lines.requirements),
        notes=tuple(lines.notes),
        index_options=tuple(lines.index_options),
        allow_prereleases=lines.allow_prereleases,
    )


def _logical_lines(text: str) -> list[tuple[int, str]]:
    """Lines with their numbers; one ending in a backslash goes on in the next."""
    result: list[tuple[int, str]] = []
    held: list[str] = []
    first = 1
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), start=1):
        if not held:
            first = number
        held.append(line.removesuffix("\\"))
        if not line.endswith("\\"):
            result.append((first, " ".join(held)))
            held = []
    return [*result, (first, " ".join(held))] if held else result


@dataclass
class PipLines:
    """Collects the lines of one list."""

    requirements: list[Requirement] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    index_options: list[tuple[str, str]] = field(default_factory=list)
    allow_prereleases: bool = False

    def add(self, original: str, *, line: int) -> None:
        """Take one line. Blank lines and comments are nothing. Raises EnvironmentInvalid."""
        text = _COMMENT.sub("", original).strip()
        if not text:
            return
        if any(ord(character) < 32 and character != "\t" for character in text):
            raise EnvironmentInvalid(
                line, ascii(text)[:200], "The line holds control characters.", "Write one package a line."
            )
        if text.startswith("-"):
            self._option(text, line)
        else:
            self._package(text, original.strip(), line)

    def _option(self, text: str, line: int) -> None:
        found = _OPTION.match(text)
        option = found["option"] if found else text.split()[0]
        value = (found["value"] or "").strip() if found else ""
        if option not in _INDEX_OPTIONS and re.match(r"^-[rceif][^-\s]", text):
            option, value = text[:2], text[2:].strip()
        option = _LONG.get(option, option)
        if option in _INDEX_OPTIONS:
            self.index_options.append((_INDEX_OPTIONS[option], _safe_address(value, text, line)))
        elif option == "--pre":
            self.allow_prereleases = True
        elif option in _HARMLESS:
            self.notes.append(Note(line, f"'{option}' changes nothing here and is left out"))
        else:
            hint = _REFUSED.get(option, "Taken are packages, --index-url, --extra-index-url, --find-links and --pre.")
            raise EnvironmentInvalid(
                line, _without_secrets(text), f"The option '{option[:60]}' cannot be used here.", hint
            )

    def _package(self, text: str, original: str, line: int) -> None:
        hashes = _HASHES.search(text)
        body = text[: hashes.start()] if hashes else text
        body = body.strip()
        if "://" in body and " @ " not in body:
            body = _with_name(body, line)
        try:
            requirement = Pep508(body)
            if not all(specifier.version for specifier in requirement.specifier):
                raise InvalidRequirement(f"{body} lacks a version")
        except (InvalidRequirement, RecursionError) as error:
            raise _not_a_requirement(text, line) from error
        if requirement.url:
            _safe_address(requirement.url, text, line)
        full = f"{requirement}{' ' + ' '.join(hashes[0].split()) if hashes else ''}"
        self.requirements.append(Requirement(requirement.name, full, line, "pip", _without_secrets(original)))


def _not_a_requirement(text: str, line: int) -> EnvironmentInvalid:
    if text.startswith((".", "/", "~")) or text.endswith((".whl", ".tar.gz", ".zip")):
        hint = "Register the folder as code, or give an https address of the wheel."
        return EnvironmentInvalid(line, text[:200], "A file or folder of your machine cannot be installed.", hint)
    if re.match(r"^[A-Za-z0-9._-]+\s*=\s*[^=]", text):
        name = re.split(r"\s*=", text)[0]
        hint = f"In a pip list an exact version is written with two: {name}=={text.split('=', 1)[1].strip()[:40]}"
        return EnvironmentInvalid(line, text[:200], "One '=' is conda's way of writing.", hint)
    hint = "Write one package a line, like scikit-learn==1.5.2 or pandas>=2,<3."
    return EnvironmentInvalid(line, _without_secrets(text), "This is not a package with an optional version.", hint)


def _with_name(address: str, line: int) -> str:
    """A bare address as "name @ address", the form that says which package to expect."""
    found = _NAMED_BY_URL.search(address) or _WHEEL_NAME.search(address.split("#")[0])
    if not found:
        hint = "Write it as: name @ https://…"
        raise EnvironmentInvalid(
            line, _without_secrets(address), "The address does not say which package it holds.", hint
        )
    return f"{found['name']} @ {address}"


def _safe_address(value: str, text: str, line: int) -> str:
    """The address if it is https (or git over https) and carries no credentials."""
    shown = _without_secrets(text)
    try:
        parts = urlsplit(value)
        host, has_credentials = parts.hostname, "@" in parts.netloc
    except ValueError as error:
        raise EnvironmentInvalid(line, shown, "This is not an address.") from error
    if parts.scheme not in {"https", "git+https"} or not host or any(character.isspace() for character in value):
        raise EnvironmentInvalid(
            line, shown, "Only https addresses can be used here.", "Write https://… or git+https://…."
        )
    if has_credentials:
        hint = "It would be stored in clear. Have the operator configure the index for this installation."
        raise EnvironmentInvalid(line, shown, "The address carries a user name or password.", hint)
    return value


def _without_secrets(text: str) -> str:
    return re.sub(r"(://)[^/\s]*@", r"\1****@", text)[:200]
