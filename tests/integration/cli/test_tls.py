"""Mismatches of TLS between client and daemon are reported in one line."""

import re
import socket
import threading

import pytest

from integration.daemon.test_process import self_signed


@pytest.fixture
def secured(daemons, tmp_path):
    """Start a daemon with TLS, and yield its address and the file of its authority."""
    self_signed(tmp_path, "server")
    daemon = daemons(
        "--memory",
        PROA_TLS_CERT_FILE=f"{tmp_path}/server.crt",
        PROA_TLS_KEY_FILE=f"{tmp_path}/server.key",
    )
    return daemon.address, tmp_path / "server.crt"


@pytest.fixture(autouse=True)
def made_up_token(cli, monkeypatch):
    monkeypatch.setenv("PROA_TOKEN", "made up")


def test_plain_call_to_a_tls_port_says_so(cli, secured):
    address, authority = secured
    output = cli.fails(6, "--target", address, "ls")
    assert output == (
        f"Error: {address} speaks TLS and was called without; add --tls-ca FILE, the authority "
        "of its certificate, or --tls if that is a well-known one\n"
    )
    output = cli.fails(4, "--target", address, "--tls-ca", authority, "ls")
    assert "TOKEN_INVALID" in output


def test_tls_call_with_another_authority_reports_missing_trust(cli, secured, tmp_path):
    address, _ = secured
    self_signed(tmp_path, "other")
    for options in (["--tls"], ["--tls-ca", tmp_path / "other.crt"]):
        output = cli.fails(6, "--target", address, *options, "ls")
        assert "speaks no TLS" not in output
        assert "Hint: is proad running at" not in output
        assert f"Error: {address} speaks TLS, but the two do not trust each other" in output


def test_tls_files_are_read_from_the_environment(cli, daemons, tmp_path, monkeypatch):
    for name in ("server", "client"):
        self_signed(tmp_path, name)
    daemon = daemons(
        "--memory",
        PROA_TLS_CERT_FILE=f"{tmp_path}/server.crt",
        PROA_TLS_KEY_FILE=f"{tmp_path}/server.key",
        PROA_TLS_CLIENT_CA_FILE=f"{tmp_path}/client.crt",
    )
    monkeypatch.setenv("PROA_TARGET", daemon.address)
    monkeypatch.setenv("PROA_TLS_CA", f"{tmp_path}/server.crt")
    monkeypatch.setenv("PROA_TLS_CERT", f"{tmp_path}/client.crt")
    monkeypatch.setenv("PROA_TLS_KEY", f"{tmp_path}/client.key")
    assert "TOKEN_INVALID" in cli.fails(4, "ls")
    monkeypatch.delenv("PROA_TLS_CERT")
    monkeypatch.delenv("PROA_TLS_KEY")
    cli.fails(6, "ls")


@pytest.mark.parametrize("where", ["unix", "tcp"])
def test_tls_call_to_a_plain_port_says_so(cli, daemon, daemons, tmp_path, where):
    self_signed(tmp_path, "ca")
    target = daemon if where == "unix" else daemons("--memory").address
    output = cli.fails(6, "--target", target, "--tls-ca", tmp_path / "ca.crt", "ls")
    assert re.fullmatch(
        f"Error: {re.escape(target)} speaks no TLS and was called with it; leave out --tls.*\n",
        output,
    )


def test_call_to_a_port_without_grpc_reports_neither(cli, tmp_path):
    def hang_up():
        while True:
            try:
                connection, _ = other.accept()
            except OSError:
                return
            with connection:
                connection.sendall(b"220 mail.example ESMTP\r\n")

    self_signed(tmp_path, "ca")
    with socket.create_server(("127.0.0.1", 0)) as other:
        target = f"127.0.0.1:{other.getsockname()[1]}"
        thread = threading.Thread(target=hang_up)
        thread.start()
        for options in ((), ("--tls-ca", tmp_path / "ca.crt")):
            output = cli.fails(6, "--target", target, *options, "ls")
            assert "speaks" not in output
            assert f"Hint: is proad running at {target}?" in output
        other.shutdown(socket.SHUT_RDWR)
        thread.join()
