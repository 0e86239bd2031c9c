"""Tokens that open one endpoint for a while."""

from __future__ import annotations

import json
import time

import jwt
import pytest

from endpoints import tokens

ISSUER = tokens.TokenIssuer(tokens.new_signing_key(), "studio", "inference")


def test_a_token_says_which_endpoint_it_opens() -> None:
    token = ISSUER.make("churn", now=time.time(), lifetime_seconds=60)
    assert ISSUER.verify(token) == "churn"


def test_an_expired_token_is_refused() -> None:
    token = ISSUER.make("churn", now=time.time() - 100, lifetime_seconds=60)
    with pytest.raises(jwt.ExpiredSignatureError):
        ISSUER.verify(token)


@pytest.mark.parametrize(
    "other",
    [
        tokens.TokenIssuer(tokens.new_signing_key(), "studio", "inference"),
        tokens.TokenIssuer(ISSUER.private_key, "elsewhere", "inference"),
        tokens.TokenIssuer(ISSUER.private_key, "studio", "something"),
    ],
    ids=["key", "issuer", "audience"],
)
def test_a_foreign_token_is_refused(other: tokens.TokenIssuer) -> None:
    token = other.make("churn", now=time.time(), lifetime_seconds=60)
    with pytest.raises(jwt.InvalidTokenError):
        ISSUER.verify(token)


def test_the_key_set_holds_every_public_key_and_no_private_one() -> None:
    keys = json.loads(tokens.key_set(ISSUER.private_key, tokens.new_signing_key()))["keys"]
    assert len({key["kid"] for key in keys}) == 2
    assert all("d" not in key and key["alg"] == "ES256" for key in keys)
    header = jwt.get_unverified_header(ISSUER.make("churn", now=0, lifetime_seconds=1))
    assert header["kid"] == keys[0]["kid"]
