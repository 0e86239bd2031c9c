import pytest

from workspaces.builds.conda import parse_conda, with_package

PIP = "dependencies:\n  - python=3.11\n  - pip\n  - pip:\n      # pinned\n      - numpy==1.26.4\n"
PLAIN = "name: a\ndependencies:\n- python=3.11\n- numpy\n"


def names(text):
    return [requirement.name for requirement in parse_conda(text).requirements]


@pytest.mark.parametrize("text", [PIP.replace("      # pinned\n", ""), PLAIN])
def test_a_package_is_added_and_the_rest_stays(text):
    assert sorted(names(with_package(text, "pillow"))) == ["numpy", "pillow"]
    assert with_package(text, "pillow").replace("- pillow\n", "").split() == text.split()


@pytest.mark.parametrize("text", ["", "dependencies: [python=3.11]\n", "dependencies:\n"])
def test_without_a_list_to_put_it_in_the_file_stays_as_it_is(text):
    assert with_package(text, "pillow") == text


def test_no_package_changes_nothing():
    assert with_package(PIP, "") == PIP
