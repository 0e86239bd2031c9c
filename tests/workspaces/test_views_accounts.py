"""Accounts: an administrator's page, one's own password, a new workspace."""

import re

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from tests.factories import PASSWORD, make_user, signed_in
from workspaces.models import Activity, Member, Role, Workspace

ACCOUNTS = "/accounts/"


@pytest.fixture
def root(cast):
    return make_user("root", is_superuser=True)


def text_of(answer):
    return answer.content.decode()


def can_sign_in(username, password):
    return Client().post("/sign-in/", {"username": username, "password": password}).status_code == 302


def shown_password(answer):
    (password,) = re.findall(r"<code[^>]*>([^<]{20})</code>", text_of(answer))
    return password


@pytest.mark.parametrize("url", [ACCOUNTS, "/new-workspace/"])
def test_these_pages_are_for_administrators_only(cast, url):
    answer = signed_in(cast.alice).get(url)
    assert answer.status_code == 403
    assert "administrators of the studio" in text_of(answer)


def test_a_made_password_is_shown_once_and_works(root):
    browser = signed_in(root)
    answer = browser.post(ACCOUNTS, {"username": "erin"})
    password = shown_password(answer)
    assert answer.headers["Cache-Control"].startswith("max-age=0, no-cache, no-store")
    assert can_sign_in("erin", password)
    assert password not in text_of(browser.get(ACCOUNTS))
    assert not get_user_model().objects.get(username="erin").is_superuser
    line = Activity.objects.get(verb="account created")
    assert (line.target_name, line.by, line.workspace) == ("erin", root, None)


def test_a_typed_password_is_not_shown(root):
    answer = signed_in(root).post(ACCOUNTS, {"username": "erin", "password": "a long typed one"}, follow=True)
    assert "a long typed one" not in text_of(answer)
    assert can_sign_in("erin", "a long typed one")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"username": ""}, "This field is required"),
        ({"username": "two words"}, "Enter a valid username"),
        ({"username": "ALICE"}, "There already is an account"),
        ({"username": "erin", "password": "short"}, "too short"),
        ({"username": "e" * 200}, "at most 150"),
    ],
)
def test_what_cannot_be_an_account_is_refused_at_its_field(root, given, said):
    answer = signed_in(root).post(ACCOUNTS, given)
    assert answer.status_code in (200, 422)
    assert said in text_of(answer)
    assert not get_user_model().objects.filter(username="erin").exists()


def test_a_deactivated_account_is_signed_out_at_once_and_may_come_back(cast, root):
    browser, bob = signed_in(root), signed_in(cast.bob)
    browser.post(f"{ACCOUNTS}{cast.bob.pk}/", {"active": "no"})
    assert bob.get("/workspaces/risk/").status_code == 302
    assert not can_sign_in("bob", PASSWORD)
    browser.post(f"{ACCOUNTS}{cast.bob.pk}/", {"active": "yes"})
    assert can_sign_in("bob", PASSWORD)
    changed = Activity.objects.filter(verb="account changed")
    assert [line.after["active"] for line in changed] == [True, False]


def test_a_reset_password_replaces_the_old_one_and_signs_out(cast, root):
    bob = signed_in(cast.bob)
    answer = signed_in(root).post(f"{ACCOUNTS}{cast.bob.pk}/password/")
    assert can_sign_in("bob", shown_password(answer))
    assert not can_sign_in("bob", PASSWORD)
    assert bob.get("/workspaces/risk/").status_code == 302


def test_an_administrator_can_be_made_and_the_last_one_stays(cast, root):
    browser = signed_in(root)
    answer = browser.post(f"{ACCOUNTS}{root.pk}/", {"administrator": "no"}, follow=True)
    assert "only administrator" in text_of(answer)
    answer = browser.post(f"{ACCOUNTS}{root.pk}/", {"active": "no"}, follow=True)
    assert "only administrator" in text_of(answer)
    browser.post(f"{ACCOUNTS}{cast.alice.pk}/", {"administrator": "yes"})
    browser.post(f"{ACCOUNTS}{root.pk}/", {"administrator": "no"})
    root.refresh_from_db()
    assert not root.is_superuser
    assert signed_in(cast.alice).get(ACCOUNTS).status_code == 200


def test_ones_own_password_can_be_changed_without_being_signed_out_here(cast):
    here, elsewhere = signed_in(cast.bob), signed_in(cast.bob)
    given = {"present": PASSWORD, "new": "another good one", "again": "another good one"}
    assert here.post("/password/", given).status_code == 302
    assert here.get("/workspaces/risk/").status_code == 200
    assert elsewhere.get("/workspaces/risk/").status_code == 302
    assert can_sign_in("bob", "another good one")
    assert Activity.objects.filter(verb="password changed", by=cast.bob).exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"present": "wrong"}, "not your present password"),
        ({"again": "different"}, "not the same"),
        ({"new": "short", "again": "short"}, "too short"),
        ({"new": PASSWORD, "again": PASSWORD}, "have already"),
    ],
)
def test_a_password_is_not_changed_by_nonsense(cast, change, said):
    given = {"present": PASSWORD, "new": "another good one", "again": "another good one"} | change
    answer = signed_in(cast.bob).post("/password/", given)
    assert answer.status_code == 422
    assert said in text_of(answer).replace("&#x27;", "'")
    assert can_sign_in("bob", PASSWORD)


def test_an_administrator_makes_a_workspace_from_the_switcher_and_owns_it(root):
    browser = signed_in(root)
    assert 'href="/new-workspace/"' in text_of(browser.get("/workspaces/risk/"))
    answer = browser.post("/new-workspace/", {"name": "fraud", "description": "Cards"})
    assert answer.headers["Location"] == "/workspaces/fraud/"
    made = Workspace.objects.get(name="fraud")
    assert Member.objects.get(workspace=made, user=root).role == Role.OWNER
    assert made.environments.filter(is_curated=True).exists()
    for name, said in (("FRAUD", "already is a workspace"), ("-x", "begin with a letter"), ("", "required")):
        answer = browser.post("/new-workspace/", {"name": name})
        assert answer.status_code == 422
        assert said in text_of(answer)


def test_nobody_else_is_offered_what_they_may_not(cast):
    page = text_of(signed_in(cast.alice).get("/workspaces/risk/"))
    assert "/new-workspace/" not in page
    assert ACCOUNTS not in page
    assert "/password/" in page
