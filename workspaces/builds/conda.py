"""A conda environment file as a list of packages to install from PyPI. Pure: text in, EnvironmentSpec out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from .conda_names import IMPOSSIBLE, IMPOSSIBLE_PREFIXES, INSTALLERS, RENAMED, SYSTEM_LIBRARIES
from .conda_versions import CondaMatch, VersionNotUnderstood, parse_match
from .errors import EnvironmentInvalid
from .pip_list import PipLines
from .spec import EnvironmentSpec, Note, Requirement

MAX_FILE_CHARACTERS = 256 * 1024
KNOWN_MINORS = tuple(f"3.{minor}" for minor in range(6, 20))
_RENAMED = {canonicalize_name(name): target for name, target in RENAMED.items()}
_SYSTEM = {canonicalize_name(name) for name in SYSTEM_LIBRARIES}
_INSTALLERS = {canonicalize_name(name) for name in INSTALLERS}


def parse_conda(text: str, *, default_python: str = "3.11") -> EnvironmentSpec:
    """Read a conda file (`name`, `channels`, `dependencies` with an optional nested `pip:` list, `variables`).

    `default_python` is the minor version taken when the file allows a range that contains it.
    Raises EnvironmentInvalid naming the line, and nothing else, whatever the text.
    """
    return _Reader(text, default_python).read()


_LIST_HEADS = (re.compile(r"^ *- +pip: *$", re.MULTILINE), re.compile(r"^dependencies: *$", re.MULTILINE))


def with_package(text: str, package: str) -> str:
    """The same file with one more package, in its pip list if it has one. As it is when there is no list to put it in."""
    for head in _LIST_HEADS if package else ():
        found = head.search(text)
        first = re.compile(r"\s*\n( *)- ").match(text, found.end()) if found else None
        if found and first:
            return f"{text[: found.end()]}\n{first[1]}- {package}{text[found.end() :]}"
    return text


@dataclass
class _Reader:
    text: str
    default_python: str
    requirements: list[Requirement] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    python_wanted: str | None = None

    def read(self) -> EnvironmentSpec:
        top = self._top_mapping()
        name, channels, variables = "", [], []
        pip = PipLines()
        seen_dependencies = False
        for key, value in top:
            if key.value == "name":
                name = self._scalar(value)
            elif key.value == "channels":
                channels = [self._scalar(item) for item in self._items(value, "channels")]
            elif key.value == "dependencies":
                seen_dependencies = True
                self._dependencies(value, pip)
            elif key.value == "variables":
                variables = [(self._scalar(k), self._scalar(v)) for k, v in self._pairs(value, "variables")]
            else:
                self._note(key, f"'{self._shown(key)}' means nothing here and is ignored")
        if not seen_dependencies:
            raise EnvironmentInvalid(
                0,
                "",
                "The file has no 'dependencies:' list.",
                "A conda file looks like: dependencies: [python=3.10, pip].",
            )
        return EnvironmentSpec(
            python_wanted=self.python_wanted,
            requirements=(*self.requirements, *pip.requirements),
            name=name,
            channels=tuple(channels),
            notes=tuple(sorted((*self.notes, *pip.notes), key=lambda note: note.line)),
            variables=tuple(variables),
            index_options=tuple(pip.index_options),
            allow_prereleases=pip.allow_prereleases,
        )

    def _top_mapping(self) -> list[tuple[yaml.Node, yaml.Node]]:
        if len(self.text) > MAX_FILE_CHARACTERS:
            raise EnvironmentInvalid(0, "", f"The file is longer than {MAX_FILE_CHARACTERS // 1024} KiB.")
        try:
            root = yaml.compose(self.text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = mark.line + 1 if mark else 0
            hint = "Indent with spaces, and the same number of them for every entry of a list."
            raise EnvironmentInvalid(line, self._line(line), f"This is not YAML: {error.problem}.", hint) from error
        except (yaml.YAMLError, RecursionError) as error:
            raise EnvironmentInvalid(
                0, "", "This is not YAML: it holds characters or nesting YAML does not allow."
            ) from error
        if root is None:
            raise EnvironmentInvalid(0, "", "The file is empty.", "A conda file needs a 'dependencies:' list.")
        return list(self._pairs(root, "The file"))

    def _dependencies(self, node: yaml.Node, pip: PipLines) -> None:
        for item in self._items(node, "dependencies"):
            if isinstance(item, yaml.MappingNode):
                for key, value in self._pairs(item, "This entry"):
                    if key.value != "pip":
                        shown = self._shown(key)
                        hint = f"Write '- {shown}=…' for a package; only 'pip:' may hold a list."
                        raise self._refused(key, f"'{shown}:' is not understood here.", hint)
                    for line in self._items(value, "pip"):
                        pip.add(self._scalar(line), line=line.start_mark.line + 1)
            else:
                self._conda_package(item)

    def _conda_package(self, node: yaml.Node) -> None:
        original = self._scalar(node)
        try:
            match = parse_match(original)
        except VersionNotUnderstood as error:
            hint = "Write it like numpy=1.26 or numpy>=1.22,<2, or put it under 'pip:'."
            raise self._refused(node, f"{error}.", hint) from error
        name = canonicalize_name(match.name)
        if name == "python":
            self._python(node, match)
        elif name in _SYSTEM or name in _INSTALLERS:
            why = "the studio brings its own" if name in _INSTALLERS else "wheels from PyPI bring what they need"
            self._note(node, f"'{match.name}' is left out: {why}")
        elif reason := _impossible(name):
            hint = "Remove the line, or replace it by a package that is on PyPI."
            raise self._refused(node, f"'{match.name}' cannot be had from PyPI. {reason}", hint)
        else:
            self._add(node, match, original)

    def _add(self, node: yaml.Node, match: CondaMatch, original: str) -> None:
        target = _RENAMED.get(canonicalize_name(match.name), match.name)
        if target != match.name:
            self._note(node, f"'{match.name}' is called '{target}' on PyPI")
        if match.build:
            self._note(node, f"the build '{match.build}' of '{match.name}' exists only in conda; PyPI's wheel is used")
        bare_name = target.split("[")[0]
        line = node.start_mark.line + 1
        self.requirements.append(Requirement(bare_name, target + match.specifier, line, "conda", original))

    def _python(self, node: yaml.Node, match: CondaMatch) -> None:
        allowed = SpecifierSet(match.specifier)
        minors = [minor for minor in KNOWN_MINORS if any(_releases(minor, allowed))]
        if not minors:
            hint = "Python 3.9 and newer can run a model."
            raise self._refused(node, f"No Python this studio knows satisfies '{match.specifier or match.name}'.", hint)
        if len(minors) == 1:
            self.python_wanted = minors[0]
            if match.specifier.startswith("==") and match.specifier.rstrip(".*").count(".") == 2:
                self._note(node, f"any Python {minors[0]} is taken; the last number of the version is not")
            return
        if match.specifier:
            self.python_wanted = _nearest(minors, self.default_python)
            self._note(node, f"'{match.specifier}' allows several versions of Python; {self.python_wanted} is taken")

    def _pairs(self, node: yaml.Node, what: str) -> Iterator[tuple[yaml.Node, yaml.Node]]:
        if not isinstance(node, yaml.MappingNode):
            raise self._refused(node, f"{what} must be a mapping ('key: value').")
        for key, value in node.value:
            self._scalar(key)
            yield key, value

    def _items(self, node: yaml.Node, what: str) -> list[yaml.Node]:
        if isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null":
            return []
        if not isinstance(node, yaml.SequenceNode):
            raise self._refused(node, f"'{what}:' must be a list.", "Begin each entry on a line of its own with '- '.")
        items: list[yaml.Node] = node.value
        return items

    def _scalar(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise self._refused(node, "A single value was expected here, not a list or mapping.")
        return str(node.value).strip()

    def _refused(self, node: yaml.Node, message: str, hint: str = "") -> EnvironmentInvalid:
        line = node.start_mark.line + 1
        return EnvironmentInvalid(line, self._line(line), message, hint)

    def _note(self, node: yaml.Node, message: str) -> None:
        self.notes.append(Note(node.start_mark.line + 1, message))

    def _shown(self, node: yaml.Node) -> str:
        return str(node.value)[:60]

    def _line(self, number: int) -> str:
        lines = self.text.splitlines()
        return lines[number - 1].strip()[:200] if 0 < number <= len(lines) else ""


def _impossible(name: str) -> str:
    if name in IMPOSSIBLE:
        return IMPOSSIBLE[name]
    return next((why for prefix, why in IMPOSSIBLE_PREFIXES.items() if name.startswith(prefix)), "")


def _nearest(minors: list[str], default: str) -> str:
    """The default if it is allowed, else the next newer one, else the newest of the older ones."""
    numbers = [int(minor.split(".")[1]) for minor in minors]
    wanted = int(default.split(".")[1])
    return f"3.{min((n for n in numbers if n >= wanted), default=numbers[-1])}"


def _releases(minor: str, allowed: SpecifierSet) -> Iterator[bool]:
    return (True for patch in range(40) if allowed.contains(f"{minor}.{patch}"))
