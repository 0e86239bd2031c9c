from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workspaces.builds.conda import parse_conda
from workspaces.builds.conda_names import IMPOSSIBLE, INSTALLERS, RENAMED, SYSTEM_LIBRARIES
from workspaces.builds.conda_versions import parse_match, to_pep440
from workspaces.builds.errors import EnvironmentInvalid
from workspaces.builds.spec import content_hash

AZURE_SAMPLE = """\
name: model-env
channels:
  - conda-forge
dependencies:
  - python=3.10
  - numpy=1.23.5
  - pip=23.0.1
  - scikit-learn=1.2.2
  - scipy=1.10.1
  - pip:
      - azureml-inference-server-http==1.4.1
      - inference-schema[numpy-support]==1.3.0  # for the swagger
      - joblib==1.2.0
"""


def test_a_sample_of_azure_reads_as_a_list_for_pypi() -> None:
    spec = parse_conda(AZURE_SAMPLE)
    assert spec.name == "model-env"
    assert spec.channels == ("conda-forge",)
    assert spec.python_wanted == "3.10"
    assert [(item.text, item.line, item.source) for item in spec.requirements] == [
        ("numpy==1.23.5.*", 6, "conda"),
        ("scikit-learn==1.2.2.*", 8, "conda"),
        ("scipy==1.10.1.*", 9, "conda"),
        ("azureml-inference-server-http==1.4.1", 11, "pip"),
        ("inference-schema[numpy-support]==1.3.0", 12, "pip"),
        ("joblib==1.2.0", 13, "pip"),
    ]
    assert [(note.line, note.message) for note in spec.notes] == [(7, "'pip' is left out: the studio brings its own")]


@pytest.mark.parametrize(
    ("conda", "pypi"),
    [
        ("numpy", "numpy"),
        ("numpy=1.22", "numpy==1.22.*"),
        ("numpy==1.22", "numpy==1.22"),
        ("numpy=1.22.*", "numpy==1.22.*"),
        ("numpy 1.22*", "numpy==1.22.*"),
        ("numpy>=1.20,<2", "numpy>=1.20,<2"),
        ("numpy >=1.20, <2", "numpy>=1.20,<2"),
        ("numpy>=1.20.*", "numpy>=1.20"),
        ("numpy!=1.21.1", "numpy!=1.21.1"),
        ("numpy~=1.21", "numpy~=1.21"),
        ("numpy=1.22=py310_0", "numpy==1.22.*"),
        ("numpy 1.22.3 py310_0", "numpy==1.22.3"),
        ("numpy=1.22.0rc1", "numpy==1.22.0rc1"),
        ("conda-forge::numpy=1.22", "numpy==1.22.*"),
        ("conda-forge/linux-64::numpy", "numpy"),
        ("numpy[version='>=1.20,<2',build=py_0]", "numpy>=1.20,<2"),
        ("numpy=*=*mkl*", "numpy"),
        ("pytorch=2.1", "torch==2.1.*"),
        ("py-xgboost", "xgboost"),
        ("opencv", "opencv-python-headless"),
        ("msgpack-python", "msgpack"),
        ("pytables>3", "tables>3"),
        ("ruamel_yaml", "ruamel_yaml"),
    ],
)
def test_condas_way_of_writing_becomes_pypis(conda: str, pypi: str) -> None:
    (requirement,) = parse_conda(f'dependencies:\n  - "{conda}"\n').requirements
    assert requirement.text == pypi
    assert requirement.original == conda


@pytest.mark.parametrize(
    ("python", "wanted"),
    [
        ("python=3.9", "3.9"),
        ("python==3.10.4", "3.10"),
        ("python=3.12.*", "3.12"),
        ("python 3.8", "3.8"),
        ("python", None),
        ("python>=3.8", "3.11"),
        ("python>=3.12", "3.12"),
        ("python>=3.8,<3.11", "3.10"),
        ("python>=3.9,<3.10", "3.9"),
    ],
)
def test_the_python_of_the_file_is_found(python: str, wanted: str | None) -> None:
    assert parse_conda(f"dependencies: ['{python}']").python_wanted == wanted


def test_a_range_of_pythons_says_which_one_is_taken() -> None:
    (note,) = parse_conda("dependencies: ['python>=3.8']").notes
    assert note.message == "'>=3.8' allows several versions of Python; 3.11 is taken"


def test_native_libraries_are_left_out_and_said_so() -> None:
    spec = parse_conda("dependencies:\n  - mkl\n  - libgcc-ng=11.2.0=h1234\n  - _libgcc_mutex=0.1=main\n")
    assert spec.requirements == ()
    assert [note.line for note in spec.notes] == [2, 3, 4]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", 0, "empty"),
        ("name: x\n", 0, "no 'dependencies:'"),
        ("- a\n", 1, "mapping"),
        ("dependencies: numpy\n", 1, "must be a list"),
        ("dependencies:\n\t- numpy\n", 2, "not YAML"),
        ("dependencies:\n  - numpy\n  - r-base=4.1\n", 3, "'r-base' cannot be had from PyPI"),
        ("dependencies:\n  - numpy\n  - cudnn\n", 3, "cuDNN"),
        ("dependencies:\n  - numpy=1.2|1.3\n", 2, "alternatives"),
        ("dependencies:\n  - numpy=abc?\n", 2, "not a version"),
        ("dependencies:\n  - python=2.7\n", 2, "No Python"),
        ("dependencies:\n  - numpy: 1.2\n", 2, "not understood"),
        ("dependencies:\n  - [numpy]\n", 2, "single value"),
        ("dependencies:\n  - pip:\n      - numpy\n      - -r more.txt\n", 4, "'-r' cannot be used"),
        ("dependencies:\n  - pip: numpy\n", 2, "'pip:' must be a list"),
        ("dependencies:\n  - numpy[md5=abc]\n", 2, "'md5' in brackets"),
    ],
)
def test_what_cannot_be_used_is_an_error_at_its_line(text: str, line: int, words: str) -> None:
    with pytest.raises(EnvironmentInvalid) as caught:
        parse_conda(text)
    assert caught.value.line == line
    assert words in caught.value.message


def test_deep_nesting_is_refused_and_not_followed() -> None:
    with pytest.raises(EnvironmentInvalid):
        parse_conda("dependencies: " + "[" * 50_000)


def test_a_file_too_long_is_refused_before_it_is_read() -> None:
    with pytest.raises(EnvironmentInvalid, match="longer than 256 KiB"):
        parse_conda("#" * 300_000)


def test_variables_are_kept_for_the_instance() -> None:
    spec = parse_conda("dependencies: [numpy]\nvariables:\n  OMP_NUM_THREADS: 2\n")
    assert spec.variables == (("OMP_NUM_THREADS", "2"),)


def test_order_comments_and_names_do_not_change_the_content_hash() -> None:
    one = parse_conda("name: a\ndependencies:\n  - numpy=1.2\n  - pandas\n")
    other = parse_conda("name: b\nchannels: [x]\ndependencies:\n  # first\n  - pandas\n  - numpy=1.2\n")
    assert content_hash(one, "3.11") == content_hash(other, "3.11")
    assert content_hash(one, "3.11") != content_hash(one, "3.12")


def test_no_name_is_in_two_tables() -> None:
    tables = [set(RENAMED), set(SYSTEM_LIBRARIES), set(INSTALLERS), set(IMPOSSIBLE)]
    assert sum(len(table) for table in tables) == len(set().union(*tables))


def line_refused(text: str) -> int | None:
    """The line at which the text is refused, None if it is taken. Any other exception is the test's failure."""
    try:
        parse_conda(text)
    except EnvironmentInvalid as error:
        return error.line
    return None


@given(st.text(max_size=300))
def test_no_text_raises_anything_but_environment_invalid(text: str) -> None:
    for whole in (text, f"dependencies:\n - {text}", f"dependencies:\n - pip:\n   - {text}"):
        line_refused(whole)


PIECES = "numpy python pytorch :: = == >= < 1 . * 2.0 | , [ ] ' version rc1 py_0 é !".split()


@given(st.lists(st.sampled_from([*PIECES, " "]), max_size=9))
def test_a_dependency_is_taken_or_refused_at_its_line(pieces: list[str]) -> None:
    assert line_refused(f'dependencies:\n  - "{"".join(pieces)}"\n') in {None, 2}


@given(st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True), st.lists(st.integers(0, 99), min_size=1, max_size=3))
def test_an_exact_version_stays_exactly_that(name: str, numbers: list[int]) -> None:
    version = ".".join(map(str, numbers))
    assert parse_match(f"{name}=={version}").specifier == f"=={version}"
    assert to_pep440(f"={version}") == f"=={version}.*"
