"""Client certificates in the place of tokens, with the client and the command line."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from cryptography import x509

import proa
from certificates import Authority, client_tls
from integration.daemon.conftest import BIN, Daemon
from proa import v1

NAME = "spiffe://example/backend"
URI = x509.UniformResourceIdentifier(NAME)


def test_client_with_a_certificate_needs_no_token(
    start_daemon: Callable[..., Daemon], tmp_path: Path
):
    authority = Authority()
    authority.server().write(tmp_path, "server")
    (tmp_path / "clients.crt").write_bytes(authority.pem)
    config = tmp_path / "proad.toml"
    config.write_text(
        f'tls_cert_file = "{tmp_path}/server.crt"\n'
        f'tls_key_file = "{tmp_path}/server.key"\n'
        f'tls_client_ca_file = "{tmp_path}/clients.crt"\n'
        "[[client_certificate]]\n"
        f'san = "uri:{NAME}"\n'
        'user = "ada"\n'
        'scopes = ["basic"]\n'
    )
    daemon = start_daemon("--memory", "--config", str(config))
    tls = client_tls(tmp_path, authority, authority.issue("backend", URI))

    with proa.connect(daemon.address, tls=tls) as client:
        known = client.auth.GetCaller(v1.GetCallerRequest())
        assert list(client.list_resources()) == []
    listed = subprocess.run(
        [BIN / "proa", "ls"],
        env=os.environ
        | {
            "PROA_TARGET": daemon.address,
            "PROA_TLS_CA": str(tls.ca_file),
            "PROA_TLS_CERT": str(tls.cert_file),
            "PROA_TLS_KEY": str(tls.key_file),
            "HOME": str(tmp_path),
        },
        capture_output=True,
        text=True,
        check=False,
    )

    assert (known.username, list(known.scopes)) == ("ada", [v1.SCOPE_BASIC])
    assert listed.returncode == 0, listed.stderr
