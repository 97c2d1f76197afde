"""The synchronous client on real channels: TCP, Unix socket, TLS, retries, deadlines."""

import subprocess
import sys
import time
from datetime import timedelta

import grpc
import pytest

import proa
from proa import v1
from proa.channels import DEFAULT_TARGET, Endpoint

LOGIN = {"username": "ann", "password": "correct horse"}
HOST = v1.GetHostRequest()


def test_the_token_is_fetched_and_renewed(serve, small_daemon):
    with serve() as target, proa.connect(target, **LOGIN, scopes=["basic"]) as client:
        assert client.hosts.GetHost(HOST).daemon_version == "1.2.3"
        small_daemon.valid.clear()
        assert client.hosts.GetHost(HOST).daemon_version == "1.2.3"
    assert small_daemon.calls == {"CreateToken": 2, "GetHost": 3}


def test_futures_are_renewed_and_typed_too(serve, small_daemon):
    with serve() as target, proa.connect(target, **LOGIN) as client:
        client.hosts.GetHost(HOST)
        small_daemon.valid.clear()
        assert client.hosts.GetHost.future(HOST).result(10).daemon_version == "1.2.3"
        failed = client.resources.GetResource.future(v1.GetResourceRequest(id="gone"))
        assert isinstance(failed.exception(10), proa.NotFound)
        with pytest.raises(proa.NotFound):
            failed.result()


def test_a_refused_login_in_a_future(serve):
    with serve() as target, proa.connect(target, username="ann", password="x") as client:
        future = client.hosts.GetHost.future(HOST)
        with pytest.raises(proa.Unauthenticated):
            future.result()


def test_a_stream(serve, small_daemon, status):
    with serve() as target, proa.connect(target, **LOGIN) as client:
        events = list(client.images.PullImage(v1.PullImageRequest(image="debian:12")))
        assert [e.WhichOneof("event") for e in events] == ["progress", "image"]
        small_daemon.stream_failure = status(grpc.StatusCode.NOT_FOUND, "IMAGE_NOT_FOUND", "gone")
        stream = client.images.PullImage(v1.PullImageRequest(image="debian:12"))
        assert next(stream).progress.status == "Downloading"
        with pytest.raises(proa.NotFound) as caught:
            next(stream)
        assert caught.value.reason == "IMAGE_NOT_FOUND"


def test_a_stream_that_is_cancelled(serve):
    with serve() as target, proa.connect(target, **LOGIN) as client:
        stream = client.images.PullImage(v1.PullImageRequest(image="debian:12"))
        stream.cancel()
        with pytest.raises(proa.Cancelled):
            list(stream)


def test_a_stream_without_a_login(serve):
    with serve() as target, proa.connect(target, username="ann", password="x") as client:
        with pytest.raises(proa.Unauthenticated) as caught:
            list(client.images.PullImage(v1.PullImageRequest(image="debian:12")))
        assert caught.value.reason == "BAD_CREDENTIALS"


def test_all_pages(serve):
    with serve() as target, proa.connect(target, **LOGIN) as client:
        assert [r.name for r in client.list_resources()] == ["r0", "r1", "r2", "r3", "r4"]


def test_a_unix_socket(serve, tmp_path):
    with serve(f"unix:{tmp_path}/proa.sock") as target, proa.connect(target, **LOGIN) as client:
        assert client.hosts.GetHost(HOST).daemon_version == "1.2.3"


def unavailable(status):
    return status(grpc.StatusCode.UNAVAILABLE, "ENGINE_UNREACHABLE", "down")


def test_reads_are_tried_again(serve, small_daemon, status):
    with serve() as target, proa.connect(target, **LOGIN) as client:
        small_daemon.failures = [unavailable(status)] * 2
        assert client.hosts.GetHost(HOST).daemon_version == "1.2.3"
    assert small_daemon.calls["GetHost"] == 3


def test_but_not_for_ever(serve, small_daemon, status):
    with serve() as target, proa.connect(target, **LOGIN) as client:
        small_daemon.failures = [unavailable(status)] * 10
        with pytest.raises(proa.Unavailable) as caught:
            client.hosts.GetHost(HOST)
    assert caught.value.reason == "ENGINE_UNREACHABLE"
    assert small_daemon.calls["GetHost"] == 4


def test_changes_are_not_tried_again(serve, small_daemon, status):
    with serve() as target, proa.connect(target, **LOGIN) as client:
        small_daemon.failures = [unavailable(status)]
        with pytest.raises(proa.Unavailable):
            client.resources.StartResource(v1.StartResourceRequest(id="r1"))
    assert small_daemon.calls["StartResource"] == 1


def test_nobody_there():
    with proa.connect("127.0.0.1:1", token="x") as client, pytest.raises(proa.Unavailable):
        client.resources.StartResource(v1.StartResourceRequest(id="r1"))


@pytest.mark.parametrize("timeout", [0.2, timedelta(milliseconds=200)])
def test_the_default_deadline(silent_target, timeout):
    begun = time.monotonic()
    with proa.connect(silent_target, token="x", timeout=timeout) as client:
        with pytest.raises(proa.DeadlineExceeded):
            client.hosts.GetHost(HOST)
        with pytest.raises(proa.DeadlineExceeded):
            client.hosts.GetHost(HOST, timeout=0.1)
    assert time.monotonic() - begun < 5


# What must not go in the clear ----------------------------------------------------


@pytest.mark.parametrize(
    "target",
    [
        "127.0.0.1:50051",
        "127.8.9.10:1",
        "localhost:50051",
        "localhost",
        "[::1]:50051",
        "dns:///localhost:50051",
        "dns:127.0.0.1:50051",
        "ipv4:127.0.0.1:50051",
        "ipv6:[::1]:50051",
        "unix:/run/proa.sock",
        "unix:///run/proa.sock",
        "unix-abstract:proa",
    ],
)
def test_targets_without_a_network_in_between(target):
    assert Endpoint(target).local
    proa.connect(target, token="x").close()


@pytest.mark.parametrize(
    "target",
    [
        "192.0.2.1:50051",
        "vm-host:50051",
        "localhost.example:50051",
        "127.0.0.1.example:50051",
        "[2001:db8::1]:50051",
        "dns:///vm-host:50051",
        "dns://192.0.2.1/localhost:50051",
        "ipv4:127.0.0.1:1,192.0.2.1:2",
        "xds:///localhost",
        "127.0.0.1@vm-host:50051",
        "0.0.0.0:50051",
    ],
)
@pytest.mark.parametrize("credentials", [LOGIN, {"token": "x"}, {"token": lambda: "x"}])
def test_secrets_do_not_cross_a_network_in_the_clear(target, credentials):
    with pytest.raises(ValueError, match="in the clear"):
        proa.connect(target, **credentials)
    with pytest.raises(ValueError, match="in the clear"):
        proa.aio.connect(target, **credentials)
    proa.connect(target, **credentials, allow_insecure=True).close()
    proa.connect(target, **credentials, tls=True).close()


def test_nor_does_a_password_in_a_request():
    with proa.connect("192.0.2.1:50051") as client:
        with pytest.raises(ValueError, match="in the clear"):
            client.auth.CreateToken(v1.CreateTokenRequest(username="ann", password="x"))
        with pytest.raises(ValueError, match="in the clear"):
            client.images.LoginRegistry(v1.LoginRegistryRequest(username="ann", password="x"))


def test_the_password_hides_from_repr():
    assert "correct horse" not in repr(proa.tokens.Password("ann", "correct horse"))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"username": "ann"}, "needs a password"),
        ({"password": "x"}, "needs a password"),
        ({"username": "", "password": "x"}, "needs a password"),
        ({**LOGIN, "token": "x"}, "not both"),
        ({"scopes": ["basic"]}, "scopes"),
        ({**LOGIN, "scopes": ["root"]}, "no scope 'root'"),
    ],
)
def test_arguments_that_do_not_go_together(arguments, text):
    with pytest.raises(ValueError, match=text):
        proa.connect(**arguments)


def test_the_target_by_default(monkeypatch):
    def chosen(target=None):
        return Endpoint.of(target, tls=None, allow_insecure=False).target

    monkeypatch.delenv("PROA_TARGET", raising=False)
    assert chosen() == DEFAULT_TARGET
    monkeypatch.setenv("PROA_TARGET", "unix:/run/proa.sock")
    assert chosen() == "unix:/run/proa.sock"
    assert chosen("127.0.0.1:1") == "127.0.0.1:1"


# TLS --------------------------------------------------------------------------------


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


def test_tls(serve, pki):
    with serve(credentials=server_credentials(pki, mutual=False)) as target:
        with proa.connect(target, tls=proa.TLS(ca_file=pki / "ca.pem"), **LOGIN) as client:
            assert client.hosts.GetHost(HOST).daemon_version == "1.2.3"
        named = proa.TLS(ca_file=str(pki / "ca.pem"), server_name="proa.test")
        with proa.connect(target, tls=named, **LOGIN) as client:
            assert client.hosts.GetHost(HOST).daemon_version == "1.2.3"


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
def test_a_daemon_that_is_not_who_it_should_be(serve, small_daemon, pki, tls):
    with (
        serve(credentials=server_credentials(pki, mutual=False)) as target,
        proa.connect(target, tls=tls(pki), timeout=5, **LOGIN) as client,
        pytest.raises(proa.Unavailable),
    ):
        client.hosts.GetHost(HOST)
    assert not small_daemon.calls


def test_mutual_tls(serve, small_daemon, pki):
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
            assert client.hosts.GetHost(HOST).daemon_version == "1.2.3"


def test_a_certificate_without_its_key():
    with pytest.raises(ValueError, match="needs its key"):
        proa.TLS(cert_file="client.pem")


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        proa.connect("127.0.0.1:1", tls=proa.TLS(ca_file=tmp_path / "none.pem"))


# Types ------------------------------------------------------------------------------

TYPED = """
import proa
from proa import v1

def sync() -> None:
    with proa.connect() as client:
        reveal_type(client.resources.GetResource(v1.GetResourceRequest(id="web")))
        for resource in client.list_resources():
            reveal_type(resource)

async def coroutine() -> None:
    async with proa.aio.connect() as client:
        reveal_type(await client.resources.GetResource(v1.GetResourceRequest(id="web")))
        async for event in client.images.PullImage(v1.PullImageRequest(image="x")):
            reveal_type(event)
"""


def test_answers_are_typed(tmp_path):
    (tmp_path / "caller.py").write_text(TYPED)
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", "caller.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    revealed = [line.rpartition("pb2.")[2] for line in checked.stdout.splitlines() if "Rev" in line]
    assert checked.returncode == 0, checked.stdout
    assert revealed == [
        'GetResourceResponse"',
        'Resource"',
        'GetResourceResponse"',
        'PullImageResponse"',
    ]
