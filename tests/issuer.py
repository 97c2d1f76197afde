"""An OpenID Connect issuer: keys of its own, tokens that it signs, and a small HTTP server."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

ISSUER = "https://login.example/realms/staff"
AUDIENCE = "proa"


class SigningKey:
    """A key pair of an issuer."""

    def __init__(self, kid: str, algorithm: str, private: Any) -> None:
        self.kid = kid
        self.algorithm = algorithm
        self.private = private

    def jwk(self, **changed: Any) -> dict[str, Any]:
        kinds = {"R": RSAAlgorithm, "P": RSAAlgorithm, "E": ECAlgorithm}
        kind: Any = OKPAlgorithm if self.algorithm == "EdDSA" else kinds[self.algorithm[0]]
        data = kind.to_jwk(self.private.public_key(), as_dict=True)
        return {**data, "kid": self.kid, "alg": self.algorithm, "use": "sig", **changed}


def rsa_key(kid: str = "rsa", algorithm: str = "RS256", bits: int = 2048) -> SigningKey:
    return SigningKey(kid, algorithm, rsa.generate_private_key(65537, bits))


def ec_key(kid: str = "ec") -> SigningKey:
    return SigningKey(kid, "ES256", ec.generate_private_key(ec.SECP256R1()))


def ed_key(kid: str = "ed") -> SigningKey:
    return SigningKey(kid, "EdDSA", ed25519.Ed25519PrivateKey.generate())


class Issuer:
    """Signs tokens, and serves its public keys.

    Attributes:
        keys: the keys in its key set, the first of which signs.
        fetches: how often the key set was asked for.
    """

    def __init__(self, *keys: SigningKey) -> None:
        self.keys = [*keys] or [ec_key()]
        self.fetches = 0
        self.answer: bytes | None = None  # in place of the key set
        self.status = 200
        self.headers: dict[str, str] = {}
        self.admitted = threading.Event()  # cleared: answers wait
        self.admitted.set()
        self.url = ""

    def jwks(self) -> bytes:
        return json.dumps({"keys": [key.jwk() for key in self.keys]}).encode()

    def claims(self, **changed: Any) -> dict[str, Any]:
        now = int(time.time())
        usual = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": "5f1c-ann",
            "iat": now,
            "nbf": now,
            "exp": now + 600,
            "azp": "webapp",
            "groups": ["staff", "operators"],
        }
        return {key: value for key, value in {**usual, **changed}.items() if value is not None}

    def token(self, key: SigningKey | None = None, headers: Any = None, **changed: Any) -> str:
        """Return a token; a claim or header of None is left out."""
        key = key or self.keys[0]
        named = {"kid": key.kid, "typ": "at+jwt", **(headers or {})}
        if named["typ"] is None:
            named["typ"] = ""  # PyJWT's word for none
        return jwt.api_jws.encode(
            json.dumps(self.claims(**changed)).encode(),
            key.private,
            algorithm=key.algorithm,
            headers={name: value for name, value in named.items() if value is not None},
        )

    @contextmanager
    def serving(self, port: int = 0) -> Iterator["Issuer"]:
        """Serve the key set over HTTP on loopback."""
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.fetches += 1
                issuer.admitted.wait()
                body = issuer.jwks() if issuer.answer is None else issuer.answer
                self.send_response(issuer.status)
                for name, value in issuer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        self.url = f"http://127.0.0.1:{server.server_port}/certs"
        try:
            yield self
        finally:
            self.admitted.set()
            server.shutdown()
            thread.join()
            server.server_close()
