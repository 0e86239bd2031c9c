"""A workspace's home, its activity, members, tokens and code."""

import pytest
from django.contrib.auth import get_user_model

from tests.factories import (
    make_code_version,
    make_deployment,
    make_endpoint,
    make_files,
    make_model_version,
    make_user,
    make_workspace,
    signed_in,
)
from workspaces.models import AccessToken, Activity, Member
from workspaces.models.record import Subject
from workspaces.services.people import create_access_token
from workspaces.services.record import record

HOME = "/workspaces/risk/"
PART = {"HX-Request": "true"}
POLLS = 'hx-trigger="every 2s"'


def test_an_empty_workspace_greets_with_a_path_that_the_reader_can_follow(cast):
    owner = signed_in(cast.alice).get(HOME).content.decode()
    assert "From a model to a prediction" in owner
    assert "/workspaces/risk/new-model/" in owner
    reader = signed_in(cast.bob).get(HOME).content.decode()
    assert "/workspaces/risk/new-model/" not in reader


def test_home_shows_endpoints_with_traffic_and_instances(cast):
    make_model_version(cast.workspace)
    endpoint = make_endpoint(cast.workspace, "churn", percents={"blue": 90, "green": 10})
    make_deployment(endpoint, "blue", instances=2)
    make_deployment(endpoint, "green")
    text = signed_in(cast.bob).get(HOME).content.decode()
    assert "From a model to a prediction" not in text
    assert 'aria-label="blue 90 %, green 10 %"' in text
    assert '3 <span class="unit">of 3</span>' in text
    assert POLLS not in text


@pytest.mark.parametrize(("state", "polls"), [("Creating", True), ("Succeeded", False), ("Failed", False)])
def test_home_polls_its_endpoints_only_while_one_is_busy(cast, state, polls):
    make_deployment(make_endpoint(cast.workspace, "churn"), "blue", state=state)
    part = signed_in(cast.bob).get(HOME, headers=PART).content.decode()
    assert part.lstrip().startswith('<section class="stack" id="endpoints"')
    assert (POLLS in part) is polls


def test_a_failed_deployment_says_so_on_home(cast):
    make_deployment(make_endpoint(cast.workspace, "churn"), "blue", state="Failed", message="No module named xgboost.")
    assert "No module named xgboost." in signed_in(cast.bob).get(HOME).content.decode()


def test_activity_shows_what_changed_from_what_to_what(cast):
    subject = Subject(cast.workspace.pk, "endpoint", 1, "churn")
    record(subject=subject, verb="traffic changed", by=cast.dana, before={"percents": {"blue": 100}},
           after={"percents": {"blue": 90, "green": 10}}, message="try green")  # fmt: skip
    text = signed_in(cast.bob).get(f"{HOME}activity/").content.decode()
    assert "<del>blue 100</del> → " in text
    assert "<ins>blue 90, green 10</ins>" in text
    assert "try green" in text
    assert "dana" in text


def test_activity_is_filtered_by_kind_and_paged_backwards(cast):
    for number in range(60):
        record(subject=Subject(cast.workspace.pk, "model", number, f"model-{number:02}"), verb="model registered")
    record(subject=Subject(cast.workspace.pk, "endpoint", 1, "the-endpoint"), verb="endpoint created")
    browser = signed_in(cast.bob)
    first = browser.get(f"{HOME}activity/", {"kind": "model"})
    assert "the-endpoint" not in first.content.decode()
    assert "model-59" in first.content.decode()
    older = browser.get(f"{HOME}activity/", {"kind": "model", "before": first.context["older"]}).content.decode()
    assert "model-09" in older
    assert "model-10" not in older
    assert browser.get(f"{HOME}activity/", {"kind": "nonsense", "before": "x"}).status_code == 200
    assert browser.get(f"{HOME}activity/", {"before": "9" * 30}).status_code == 200


def test_an_owner_adds_changes_and_removes_a_member(cast):
    alice, eve = signed_in(cast.alice), make_user("eve")
    alice.post(f"{HOME}members/", {"username": "EVE", "role": "operator", "can_read_keys": "on"})
    member = Member.objects.get(workspace=cast.workspace, user=eve)
    assert (member.role, member.can_read_keys) == ("operator", True)
    prefix = f"member-{member.pk}"
    alice.post(f"{HOME}members/{member.pk}/", {f"{prefix}-role": "reader"})
    member.refresh_from_db()
    assert (member.role, member.can_read_keys) == ("reader", False)
    alice.post(f"{HOME}members/{member.pk}/remove/", {"confirm": "eve"})
    assert not Member.objects.filter(pk=member.pk).exists()
    assert signed_in(eve).get(HOME).status_code == 404


@pytest.mark.parametrize(
    ("username", "message"), [("nobody", "There is no account"), ("bob", "is a member already"), ("", "required")]
)
def test_who_cannot_be_added_is_said_at_the_name(cast, username, message):
    text = signed_in(cast.alice).post(f"{HOME}members/", {"username": username, "role": "reader"}).content.decode()
    assert message in text.split('data-errors="username"', 1)[1].split("</div>", 1)[0]


def test_the_last_owner_can_neither_leave_nor_step_down(cast):
    alice = signed_in(cast.alice)
    member = Member.objects.get(workspace=cast.workspace, user=cast.alice)
    text = alice.post(f"{HOME}members/{member.pk}/", {f"member-{member.pk}-role": "reader"}).content.decode()
    assert "is the only owner" in text
    text = alice.post(f"{HOME}members/{member.pk}/remove/", {"confirm": "alice"}, follow=True).content.decode()
    assert "is the only owner" in text
    member.refresh_from_db()
    assert member.role == "owner"


def test_nobody_is_removed_by_a_wrong_name_or_from_another_workspace(cast):
    alice = signed_in(cast.alice)
    member = Member.objects.get(workspace=cast.workspace, user=cast.bob)
    alice.post(f"{HOME}members/{member.pk}/remove/", {"confirm": "dana"})
    assert Member.objects.filter(pk=member.pk).exists()
    foreign = Member.objects.get(user=cast.charlie)
    assert alice.post(f"{HOME}members/{foreign.pk}/remove/", {"confirm": "charlie"}).status_code == 404


def test_only_owners_see_members_and_the_way_to_them(cast):
    dana = signed_in(cast.dana)
    assert dana.get(f"{HOME}members/").status_code == 403
    assert "/members/" not in dana.get(HOME).content.decode()


def test_a_token_is_shown_once_and_kept_as_a_hash(cast):
    bob = signed_in(cast.bob)
    page = bob.post(f"{HOME}tokens/", {"name": "notebook", "days": "7"})
    token = AccessToken.objects.get()
    assert (token.user, token.workspace, token.can_write) == (cast.bob, cast.workspace, False)
    shown = page.content.decode().split('data-copy="est_', 1)[1].split('"', 1)[0]
    assert len(shown) == 43
    assert "no-store" in page.headers["Cache-Control"]
    assert shown not in bob.get(f"{HOME}tokens/").content.decode()


def test_a_token_needs_a_name_and_a_known_lifetime(cast):
    text = signed_in(cast.bob).post(f"{HOME}tokens/", {"name": "", "days": "12345"}).content.decode()
    assert "required" in text
    assert "Select a valid choice" in text
    assert not AccessToken.objects.exists()


def test_everybody_revokes_only_their_own_tokens(cast):
    token, _ = create_access_token(user=cast.alice, name="hers", workspace=cast.workspace)
    assert signed_in(cast.bob).post(f"{HOME}tokens/{token.pk}/revoke/").status_code == 404
    assert "hers" not in signed_in(cast.bob).get(f"{HOME}tokens/").content.decode()
    signed_in(cast.alice).post(f"{HOME}tokens/{token.pk}/revoke/")
    token.refresh_from_db()
    assert token.revoked_at is not None


def test_code_shows_versions_files_and_users(cast):
    version = make_code_version(cast.workspace, "scoring", files=make_files(score_py="def init(): ..."))
    make_deployment(make_endpoint(cast.workspace, "live"), "blue", code_version=version)
    bob = signed_in(cast.bob)
    assert "/code/scoring/" in bob.get(f"{HOME}code/").content.decode()
    text = bob.get(f"{HOME}code/scoring/").content.decode()
    assert "score.py" in text
    assert "live/blue" in text
    answer = bob.get(f"{HOME}code/scoring/versions/1/files/score.py")
    assert answer.getvalue() == b"def init(): ..."
    answer.close()


def test_names_of_other_workspaces_never_appear(cast):
    make_model_version(make_workspace("far-away"), "secret-model")
    text = signed_in(cast.alice).get(HOME).content.decode()
    assert "far-away" not in text
    assert "secret-model" not in text


def test_an_administrator_sees_every_workspace(cast):
    admin = get_user_model().objects.create_superuser("root", password="x")
    assert signed_in(admin).get(HOME).status_code == 200
    assert "/members/" in signed_in(admin).get(HOME).content.decode()
    assert not Activity.objects.exists()
