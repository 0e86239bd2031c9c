"""Pages of environments and their builds."""

import pytest

from tests.factories import make_build, make_deployment, make_endpoint, make_environment_version, signed_in
from workspaces.models import EnvironmentBuild, EnvironmentVersion

LIST = "/workspaces/risk/environments/"
NEW = "/workspaces/risk/new-environment/"
ONE = "/workspaces/risk/environments/churn/versions/1/"
CONDA = "dependencies:\n  - python=3.11\n  - pip:\n      - numpy==1.26.4\n"
PART = {"HX-Request": "true"}
POLLS = 'hx-trigger="every 2s"'


@pytest.fixture
def dana(cast):
    return signed_in(cast.dana)


@pytest.fixture
def bob(cast):
    return signed_in(cast.bob)


def test_the_list_tells_curated_ones_apart_and_says_when_they_are_built(cast, bob):
    make_environment_version(cast.workspace, "mine")
    build = make_build("Queued")
    make_environment_version(cast.workspace, "sklearn-1.5", is_curated=True, build=build)
    text = bob.get(LIST).content.decode()
    own, curated = text.split("curated-title", 1)
    assert "/environments/mine/" in own
    assert "/environments/sklearn-1.5/" in curated
    assert "On first use" in curated
    assert POLLS not in text


def test_the_list_polls_while_something_is_built_and_then_stops(cast, bob):
    build = make_build("Running")
    make_environment_version(cast.workspace, build=build)
    assert POLLS in bob.get(LIST).content.decode()
    part = bob.get(LIST, headers=PART).content.decode()
    assert POLLS in part
    assert "<html" not in part
    EnvironmentBuild.objects.filter(pk=build.pk).update(state="Succeeded")
    assert POLLS not in bob.get(LIST, headers=PART).content.decode()


@pytest.mark.parametrize("kind", ["conda", "pip"])
def test_an_environment_is_created_from_the_chosen_definition(cast, dana, kind):
    given = {"name": "churn", "kind": kind, "conda_file": CONDA, "pip_requirements": "numpy==1.26.4", "image": "img:1"}
    assert dana.post(NEW, given).headers["Location"] == ONE
    made = EnvironmentVersion.objects.get()
    assert bool(made.conda_file) == (kind == "conda")
    assert bool(made.pip_requirements) == (kind == "pip")
    assert made.image == "img:1"
    assert made.build.state == "Queued"


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        ({"name": ""}, "name", "This field is required"),
        ({"name": "a b"}, "name", "Use letters, digits"),
        ({"name": "sklearn-1.5"}, "name", "comes with the studio"),
        ({"name": "known", "version": "1"}, "version", "versions never change"),
        ({"conda_file": ""}, "conda_file", "Say what to install"),
        ({"conda_file": "dependencies: ["}, "conda_file", "ine "),
        ({"conda_file": "dependencies:\n  - python=banana\n"}, "conda_file", "Line 2"),
        ({"kind": "pip", "pip_requirements": "=="}, "pip_requirements", "Line 1"),
        ({"kind": "other"}, "kind", "Select a valid choice"),
        ({"tags": "=="}, "tags", "has no name"),
        ({"conda_file": "x" * 100_001}, "conda_file", "at most 100000"),
    ],
)
def test_what_cannot_be_created_is_said_at_the_field_and_what_was_typed_stays(cast, dana, change, field, message):
    make_environment_version(cast.workspace, "known")
    make_environment_version(cast.workspace, "sklearn-1.5", is_curated=True)
    given = {"name": "churn", "kind": "conda", "conda_file": CONDA, "description": "kept text", **change}
    page = dana.post(NEW, given)
    text = page.content.decode()
    assert page.status_code == 200
    assert message in text.split(f'data-errors="{field}"', 1)[1].split("</div>", 1)[0]
    assert "kept text" in text
    assert EnvironmentVersion.objects.count() == 2


def test_a_copy_begins_with_the_definition_of_what_it_is_copied_from(cast, dana):
    make_environment_version(cast.workspace, "sklearn-1.5", is_curated=True, conda_file=CONDA, pip_requirements="")
    text = dana.get(NEW, {"from": "sklearn-1.5:1"}).content.decode()
    assert "my-sklearn-1.5" in text
    assert "python=3.11" in text
    assert dana.get(NEW, {"from": "unknown:1"}).status_code == 404


def test_the_page_shows_interpreter_packages_size_and_users(cast, bob):
    build = make_build(substitution="Python 3.9 is not available; 3.10 is used.", python_wanted="3.9")
    version = make_environment_version(cast.workspace, build=build, image="mcr.example/base:1")
    make_deployment(make_endpoint(cast.workspace, "live"), "blue", environment_version=version)
    text = bob.get(ONE).content.decode()
    for shown in (
        "Python 3.9 is not available",
        "3.11.9",
        "numpy",
        "1.26.4",
        "48 MB",
        "live/blue",
        "mcr.example/base:1",
    ):
        assert shown in text
    assert "ignores it" in text


@pytest.mark.parametrize(
    ("state", "polls"), [("Queued", True), ("Running", True), ("Succeeded", False), ("Failed", False)]
)
def test_the_build_polls_until_it_is_settled(cast, bob, state, polls):
    make_environment_version(cast.workspace, build=make_build(state))
    assert (POLLS in bob.get(ONE).content.decode()) is polls
    part = bob.get(ONE, headers=PART).content.decode()
    assert (POLLS in part) is polls
    assert part.lstrip().startswith("<section")


def test_the_log_of_a_running_build_is_shown_line_by_line(cast, bob, settings, monkeypatch):
    make_environment_version(cast.workspace, build=make_build("Running"))
    monkeypatch.setattr(
        "workspaces.staging.build_log", lambda build, most: ["Resolved 3 packages", "<b>Installing</b>"]
    )
    text = bob.get(ONE, headers=PART).content.decode()
    assert "Resolved 3 packages\n&lt;b&gt;Installing&lt;/b&gt;" in text


def test_a_failed_build_names_the_line_and_what_to_do(cast, dana):
    build = make_build(
        "Failed",
        message="scikit-lern is not known.",
        hint="Check the spelling.",
        error_line=4,
        error_text="scikit-lern",
    )
    make_environment_version(cast.workspace, build=build)
    text = dana.get(ONE).content.decode()
    for shown in ("scikit-lern is not known.", "Line 4", "Check the spelling.", "Build again"):
        assert shown in text


def test_a_failed_build_is_tried_again_and_watched(cast, dana):
    build = make_build("Failed")
    make_environment_version(cast.workspace, build=build)
    assert dana.post(f"{ONE}rebuild/").headers["Location"] == f"{ONE}?watch=1"
    build.refresh_from_db()
    assert build.state == "Queued"


def test_a_curated_environment_that_was_asked_for_is_watched_until_built(cast, dana):
    make_environment_version(cast.workspace, is_curated=True, build=make_build("Queued"))
    assert POLLS not in dana.get(ONE).content.decode()
    assert POLLS in dana.get(dana.post(f"{ONE}rebuild/").headers["Location"]).content.decode()


@pytest.mark.parametrize("verb", ["rebuild", "archive", "restore", "delete"])
def test_a_reader_changes_nothing_and_sees_no_buttons_for_it(cast, bob, verb):
    make_environment_version(cast.workspace)
    assert bob.post(f"{ONE}{verb}/", {"confirm": "churn:1"}).status_code == 403
    assert f"/{verb}/" not in bob.get(ONE).content.decode()
    assert EnvironmentVersion.objects.get().archived_at is None


def test_an_unused_version_is_deleted_with_its_name_typed(cast, dana):
    make_environment_version(cast.workspace)
    dana.post(f"{ONE}delete/", {"confirm": "churn:1"})
    assert not EnvironmentVersion.objects.exists()
