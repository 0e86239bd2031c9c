"""The way in: signing in and out, the first page, light and dark, errors."""

import pytest
from django.test import Client
from django.urls import reverse

from tests.factories import PASSWORD, make_member, make_user, make_workspace, signed_in


def test_a_visitor_is_sent_to_sign_in_and_back(cast):
    browser, url = Client(), reverse("workspaces:models", args=["risk"])
    answer = browser.get(url)
    assert answer.headers["Location"] == f"/sign-in/?next={url}"
    answer = browser.post(answer.headers["Location"], {"username": "bob", "password": PASSWORD, "next": url})
    assert answer.headers["Location"] == url
    assert browser.get(url).status_code == 200


def test_a_wrong_password_keeps_the_name_and_says_so(cast):
    page = Client().post("/sign-in/", {"username": "bob", "password": "wrong"})
    text = page.content.decode()
    assert page.status_code == 200
    assert 'value="bob"' in text
    assert "correct username and password" in text
    assert "wrong" not in text


def test_signing_in_never_leads_to_another_host(cast):
    answer = Client().post("/sign-in/", {"username": "bob", "password": PASSWORD, "next": "https://evil.example/"})
    assert answer.headers["Location"] == "/"


def test_signing_out_is_a_post(cast):
    browser = signed_in(cast.bob)
    assert browser.get("/sign-out/").status_code == 405
    assert browser.post("/sign-out/").headers["Location"] == "/sign-in/"
    assert browser.get("/").headers["Location"].startswith("/sign-in/")


def test_a_part_asked_for_after_the_session_ended_reloads_the_page(cast):
    url = reverse("workspaces:environments", args=["risk"])
    answer = Client().get(url, headers={"HX-Request": "true"}, follow=True)
    assert answer.headers["HX-Refresh"] == "true"
    assert b"password" not in answer.content


def test_the_first_page_is_the_only_workspace(cast):
    assert signed_in(cast.bob).get("/").headers["Location"] == "/workspaces/risk/"


def test_the_first_page_lists_several_workspaces_and_no_foreign_one(cast):
    make_member(make_workspace("second"), cast.bob)
    text = signed_in(cast.bob).get("/").content.decode()
    assert "/workspaces/risk/" in text
    assert "/workspaces/second/" in text
    assert "elsewhere" not in text


def test_somebody_without_a_workspace_is_told_what_to_do(db):
    assert "Ask an owner" in signed_in(make_user()).get("/").content.decode()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_chosen_theme_is_in_every_page_from_then_on(cast, theme):
    browser = signed_in(cast.bob)
    answer = browser.post("/theme/", {"theme": theme, "next": "/workspaces/risk/models/"})
    assert answer.headers["Location"] == "/workspaces/risk/models/"
    assert f'data-theme="{theme}"' in browser.get(answer.headers["Location"]).content.decode()


def test_a_nonsense_theme_follows_the_system_and_stays_on_this_host(cast):
    browser = signed_in(cast.bob)
    browser.cookies["studio_theme"] = '"><script>'
    assert "data-theme=" not in browser.get("/workspaces/risk/").content.decode().split(">", 3)[1]
    assert browser.post("/theme/", {"theme": "pink", "next": "//evil.example/"}).headers["Location"] == "/"


def test_an_unknown_address_is_a_page_of_the_studio_with_a_way_on(cast):
    page = signed_in(cast.bob).get("/nowhere/")
    assert page.status_code == 404
    assert 'href="/"' in page.content.decode()


def test_a_refused_page_names_the_role_and_what_to_do(cast):
    page = signed_in(cast.bob).get(reverse("workspaces:members", args=["risk"]))
    assert page.status_code == 403
    assert "(Reader)" in page.content.decode()
    assert "Ask an owner" in page.content.decode()


def test_no_page_has_inline_scripts_or_styles(cast):
    text = signed_in(cast.alice).get("/workspaces/risk/").content.decode()
    assert " style=" not in text
    assert "<style" not in text
    assert text.count("<script ") == text.count("</script>") == text.count("<script src=")
