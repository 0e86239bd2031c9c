from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workspaces.builds.errors import EnvironmentInvalid
from workspaces.builds.pip_list import parse_pip_list


def test_comments_blank_lines_and_continuations_keep_the_lines_numbers() -> None:
    text = "# mine\n\nnumpy>=1.2,<2  # fast\npandas \\\n  ==2.2.3\nscipy; python_version < '3.13'\n"
    assert [(item.text, item.line) for item in parse_pip_list(text).requirements] == [
        ("numpy<2,>=1.2", 3),
        ("pandas==2.2.3", 4),
        ('scipy; python_version < "3.13"', 6),
    ]


def test_hashes_are_kept() -> None:
    (requirement,) = parse_pip_list("six==1.17.0 \\\n  --hash=sha256:abcd \\\n  --hash=sha256:ef01\n").requirements
    assert requirement.text == "six==1.17.0 --hash=sha256:abcd --hash=sha256:ef01"


def test_addresses_of_packages_over_https_are_taken() -> None:
    text = (
        "https://host/six-1.17.0-py2.py3-none-any.whl\nfoo @ git+https://host/foo.git@v1\ngit+https://host/x#egg=bar\n"
    )
    assert [item.name for item in parse_pip_list(text).requirements] == ["six", "foo", "bar"]


def test_an_index_over_https_is_taken_in_order() -> None:
    spec = parse_pip_list("-i https://a/simple\n--extra-index-url=https://b/simple\n--pre\nsix\n")
    assert spec.index_options == (("--index-url", "https://a/simple"), ("--extra-index-url", "https://b/simple"))
    assert spec.allow_prereleases


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("-r other.txt", "'-r'"),
        ("-rother.txt", "'-r'"),
        ("--requirement other.txt", "'-r'"),
        ("-c limits.txt", "'-c'"),
        ("-e .", "'-e'"),
        ("--trusted-host host", "'--trusted-host'"),
        ("--no-binary :all:", "'--no-binary'"),
        ("--config-settings x=y", "'--config-settings'"),
        ("--index-url http://host/simple", "Only https"),
        ("--index-url /etc", "Only https"),
        ("--find-links file:///etc", "Only https"),
        ("foo @ file:///etc/passwd", "Only https"),
        ("foo @ git+ssh://git@host/x", "Only https"),
        ("./foo", "file or folder"),
        ("/opt/foo.whl", "file or folder"),
        ("numpy=1.2", "conda's way"),
        ("numpy ===", "not a package"),
        ("https://host/whatever", "does not say which package"),
    ],
)
def test_what_is_not_safe_or_not_understood_is_an_error_at_its_line(line: str, words: str) -> None:
    with pytest.raises(EnvironmentInvalid, match="Line 2") as caught:
        parse_pip_list(f"six\n{line}\n")
    assert words in caught.value.message
    assert caught.value.hint or "Only" in caught.value.message


def test_credentials_in_an_address_are_refused_and_not_repeated() -> None:
    with pytest.raises(EnvironmentInvalid) as caught:
        parse_pip_list("--index-url https://me:s3cret@host/simple")
    assert "s3cret" not in f"{caught.value} {caught.value.text} {caught.value.hint}"


@given(st.text(max_size=200))
def test_no_text_raises_anything_but_environment_invalid(text: str) -> None:
    with suppress(EnvironmentInvalid):
        parse_pip_list(text)
