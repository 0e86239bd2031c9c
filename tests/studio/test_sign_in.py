"""Guessing passwords is slow: attempts are limited for an account and for an address."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from tests.factories import PASSWORD
from workspaces.models import SignInAttempt
from workspaces.services import sign_in

pytestmark = pytest.mark.django_db
HERE, THERE = "192.0.2.1", "192.0.2.2"


def attempt(username, password="wrong", address=HERE, **headers):
    given = {"username": username, "password": password}
    return Client(REMOTE_ADDR=address).post("/sign-in/", given, headers=headers)


def test_the_sixth_attempt_is_told_when_to_come_back(cast):
    for _ in range(sign_in.MOST_FOR_ACCOUNT_AND_ADDRESS):
        assert attempt("bob").status_code == 200
    answer = attempt("BOB ", PASSWORD)
    assert answer.status_code == 429
    assert 0 < int(answer.headers["Retry-After"]) <= sign_in.WINDOW_SECONDS
    assert "Try again in 15 minutes" in answer.content.decode()


def test_the_owner_of_an_account_gets_in_from_elsewhere_meanwhile(cast):
    for _ in range(10):
        attempt("bob")
    assert attempt("bob", PASSWORD, THERE).status_code == 302


def test_another_person_at_the_same_address_gets_in(cast):
    for _ in range(10):
        attempt("bob")
    assert attempt("alice", PASSWORD).status_code == 302


def test_many_accounts_tried_from_one_address_are_stopped(cast, monkeypatch):
    monkeypatch.setattr(sign_in, "MOST_FROM_ADDRESS", 4)
    assert [attempt(f"name{number}").status_code for number in range(5)] == [200] * 4 + [429]
    assert attempt("bob", PASSWORD, THERE).status_code == 302


def test_one_account_tried_from_many_addresses_is_stopped(cast, monkeypatch):
    monkeypatch.setattr(sign_in, "MOST_FOR_ACCOUNT", 4)
    statuses = [attempt("bob", address=f"192.0.2.{number}").status_code for number in range(10, 15)]
    assert statuses == [200] * 4 + [429]


def test_a_success_forgets_the_failures_before_it(cast):
    for _ in range(3):
        for _ in range(sign_in.MOST_FOR_ACCOUNT_AND_ADDRESS - 1):
            attempt("bob")
        assert attempt("bob", PASSWORD).status_code == 302


def test_the_window_moves_on_and_old_attempts_are_not_kept(cast):
    for _ in range(sign_in.MOST_FOR_ACCOUNT_AND_ADDRESS + 1):
        answer = attempt("bob")
    assert answer.status_code == 429
    SignInAttempt.objects.update(at=timezone.now() - timedelta(seconds=sign_in.WINDOW_SECONDS + 1))
    assert attempt("bob", PASSWORD).status_code == 302
    assert not SignInAttempt.objects.exists()


def test_refused_attempts_do_not_prolong_the_wait(cast):
    for _ in range(sign_in.MOST_FOR_ACCOUNT_AND_ADDRESS + 20):
        attempt("bob")
    assert SignInAttempt.objects.count() == sign_in.MOST_FOR_ACCOUNT_AND_ADDRESS


def test_behind_the_gateway_the_address_is_the_one_it_saw(cast):
    header = {"X-Forwarded-For": "198.51.100.7, 203.0.113.9"}
    attempt("bob", address="", **header)
    assert SignInAttempt.objects.get().address == "203.0.113.9"


def test_a_caller_on_the_plain_port_cannot_make_up_an_address(cast):
    attempt("bob", **{"X-Forwarded-For": "198.51.100.7"})
    assert SignInAttempt.objects.get().address == HERE
