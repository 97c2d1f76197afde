"""TLS and mutual TLS against a server in this process, with an authority of our own."""

import subprocess
from typing import Any

import grpc
import pytest

import proa
from proa import v1

LOGIN: dict[str, Any] = {"username": "ann", "password": "correct horse"}
HOST = v1.GetHostRequest()


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    """An authority, a certificate for the daemon and one for a client."""
    folder = tmp_path_factory.mktemp("pki")
    ec = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1")
    openssl(
        "req",
        "-x509",
        *ec,
        "-subj",
        "/CN=ca",
        "-keyout",
        folder / "ca.key",
        "-out",
        folder / "ca.pem",
    )
    for name, alternative in (("server", "IP:127.0.0.1,DNS:proa.test"), ("client", "DNS:ann")):
        request, extensions = folder / f"{name}.csr", folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName={alternative}\n")
        openssl(
            "req", *ec, "-subj", f"/CN={name}", "-keyout", folder / f"{name}.key", "-out", request
        )
        openssl(
            *(
                "x509",
                "-req",
                "-in",
                request,
                "-CA",
                folder / "ca.pem",
                "-CAkey",
                folder / "ca.key",
            ),
            *("-CAcreateserial", "-days", "1", "-extfile", extensions),
            *("-out", folder / f"{name}.pem"),
        )
    return folder


def server_credentials(pki, *, mutual):
    pair = ((pki / "server.key").read_bytes(), (pki / "server.pem").read_bytes())
    authority = (pki / "ca.pem").read_bytes()
    return grpc.ssl_server_credentials([pair], authority if mutual else None, mutual)


def test_call_over_tls_succeeds(serve, pki):
    with serve(credentials=server_credentials(pki, mutual=False)) as target:
        with proa.connect(target, tls=proa.TLS(ca_file=pki / "ca.pem"), **LOGIN) as client:
            assert client.hosts.GetHost(HOST).host.hostname == "small"
        named = proa.TLS(ca_file=str(pki / "ca.pem"), server_name="proa.test")
        with proa.connect(target, tls=named, **LOGIN) as client:
            assert client.hosts.GetHost(HOST).host.hostname == "small"


@pytest.mark.parametrize(
    "tls",
    [
        lambda pki: True,
        lambda pki: proa.TLS(ca_file=pki / "client.pem"),
        lambda pki: proa.TLS(ca_file=pki / "ca.pem", server_name="other.test"),
        lambda pki: None,
    ],
    ids=["unknown authority", "other authority", "other name", "in the clear"],
)
def test_call_to_a_daemon_with_another_certificate_raises_unavailable(
    serve, small_daemon, pki, tls
):
    with (
        serve(credentials=server_credentials(pki, mutual=False)) as target,
        proa.connect(target, tls=tls(pki), timeout=5, **LOGIN) as client,
        pytest.raises(proa.Unavailable),
    ):
        client.hosts.GetHost(HOST)
    assert not small_daemon.calls


def test_call_with_mutual_tls_needs_a_certificate(serve, small_daemon, pki):
    with serve(credentials=server_credentials(pki, mutual=True)) as target:
        anonymous = proa.TLS(ca_file=pki / "ca.pem")
        with (
            proa.connect(target, tls=anonymous, timeout=5, **LOGIN) as client,
            pytest.raises(proa.Unavailable),
        ):
            client.hosts.GetHost(HOST)
        assert not small_daemon.calls
        known = proa.TLS(
            ca_file=pki / "ca.pem", cert_file=pki / "client.pem", key_file=pki / "client.key"
        )
        with proa.connect(target, tls=known, **LOGIN) as client:
            assert client.hosts.GetHost(HOST).host.hostname == "small"


def test_tls_with_a_certificate_without_key_raises_value_error():
    with pytest.raises(ValueError, match="needs its key"):
        proa.TLS(cert_file="client.pem")


def test_connect_with_an_empty_key_raises_value_error(pki, tmp_path):
    """Somebody writes it at this very moment: gRPC would end the process."""
    (tmp_path / "key.pem").touch()
    half = proa.TLS(cert_file=pki / "client.pem", key_file=tmp_path / "key.pem")
    with pytest.raises(ValueError, match="is empty"):
        proa.connect("127.0.0.1:1", tls=half)


def test_connect_with_a_missing_tls_file_raises_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        proa.connect("127.0.0.1:1", tls=proa.TLS(ca_file=tmp_path / "none.pem"))
