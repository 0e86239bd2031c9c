"""Expiring tokens of endpoints with auth mode aml_token: signed here, checked by the gateway from public keys alone."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

import jwt
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

ALGORITHM = "ES256"
ISSUER = "endpoint-studio"
AUDIENCE = "endpoint-studio-inference"
TOKEN_LIFETIME = timedelta(hours=1)
# A caller renews a token when this part of its life is over.
REFRESH_AFTER = timedelta(minutes=50)


@dataclass(frozen=True)
class IssuedToken:
    """Opens one endpoint until `expires_at`."""

    token: str
    expires_at: datetime
    refresh_after: datetime


@dataclass(frozen=True)
class TokenIssuer:
    """`private_key` is a PEM of a P-256 key. Every token it signs is for one endpoint."""

    private_key: bytes
    issuer: str
    audience: str

    def make(self, endpoint: str, *, now: float, lifetime_seconds: int) -> str:
        """A token that opens `endpoint` from `now` (Unix seconds) for `lifetime_seconds`."""
        claims = {
            "iss": self.issuer,
            "aud": self.audience,
            "iat": int(now),
            "exp": int(now) + lifetime_seconds,
            "jti": uuid.uuid4().hex,
            "endpoint": endpoint,
        }
        return jwt.encode(claims, self._key(), algorithm=ALGORITHM, headers={"kid": key_id(self._key())})

    def verify(self, token: str) -> str:
        """The endpoint it opens. Raises jwt.InvalidTokenError (expired, foreign, changed, without a claim)."""
        claims = jwt.decode(
            token,
            self._key().public_key(),
            algorithms=[ALGORITHM],
            issuer=self.issuer,
            audience=self.audience,
            options={"require": ["exp", "iss", "aud", "endpoint"]},
        )
        return str(claims["endpoint"])

    def jwks(self) -> str:
        """The public key as a JSON Web Key Set."""
        return key_set(self.private_key)

    def _key(self) -> ec.EllipticCurvePrivateKey:
        return _load(self.private_key)


def new_signing_key() -> bytes:
    """A fresh P-256 private key as PEM (PKCS 8, not encrypted)."""
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def key_set(*private_keys: bytes) -> str:
    """A JSON Web Key Set of the public halves. Give the old key too while its tokens still live."""
    keys = []
    for pem in private_keys:
        key = _load(pem)
        public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key()))
        keys.append({**public, "kid": key_id(key), "alg": ALGORITHM, "use": "sig"})
    return json.dumps({"keys": keys}, sort_keys=True)


def key_id(key: ec.EllipticCurvePrivateKey) -> str:
    """Names a key by its public half: 16 hex digits."""
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    digest = hashes.Hash(hashes.SHA256())
    digest.update(public)
    return digest.finalize().hex()[:16]


def _load(pem: bytes) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(pem, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("The signing key of tokens must be a P-256 key.")
    return key
