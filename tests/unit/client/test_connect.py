"""The synchronous client on real channels: TCP, Unix socket, TLS, retries, deadlines."""

import queue
import time
from datetime import timedelta
from typing import Any

import grpc
import pytest

import proa
from proa import v1
from proa.channels import DEFAULT_TARGET, Endpoint, address
from proa.timing import ClientTiming

LOGIN: dict[str, Any] = {"username": "ann", "password": "correct horse"}
HOST = v1.GetHostRequest()


def test_call_with_a_password_logs_in_and_renews_the_token(serve, small_daemon):
    with serve() as target, proa.connect(target, **LOGIN, scopes=["basic"]) as client:
        assert client.hosts.GetHost(HOST).host.hostname == "small"
        small_daemon.valid.clear()
        assert client.hosts.GetHost(HOST).host.hostname == "small"
    assert small_daemon.calls == {"CreateToken": 2, "GetHost": 3}


def test_future_renews_the_token_and_has_typed_errors(serve, small_daemon):
    with serve() as target, proa.connect(target, **LOGIN) as client:
        client.hosts.GetHost(HOST)
        small_daemon.valid.clear()
        assert client.hosts.GetHost.future(HOST).result(10).host.hostname == "small"
        failed = client.resources.GetResource.future(v1.GetResourceRequest(id="gone"))
        assert isinstance(failed.exception(10), proa.NotFound)
        with pytest.raises(proa.NotFound):
            failed.result()
        called_back: queue.Queue[Any] = queue.Queue()
        failed.add_done_callback(called_back.put)
        assert isinstance(called_back.get(timeout=10).exception(), proa.NotFound)


def test_future_with_a_wrong_password_raises_unauthenticated(serve):
    with serve() as target, proa.connect(target, username="ann", password="x") as client:
        future = client.hosts.GetHost.future(HOST)
        with pytest.raises(proa.Unauthenticated):
            future.result()


def test_stream_yields_responses_and_raises_typed_errors(serve, small_daemon, status):
    with serve() as target, proa.connect(target, **LOGIN) as client:
        events = list(client.images.PullImage(v1.PullImageRequest(image="debian:12")))
        assert [e.WhichOneof("event") for e in events] == ["progress", "image"]
        small_daemon.stream_failure = status(grpc.StatusCode.NOT_FOUND, "IMAGE_NOT_FOUND", "gone")
        stream = client.images.PullImage(v1.PullImageRequest(image="debian:12"))
        assert next(stream).progress.status == "Downloading"
        with pytest.raises(proa.NotFound) as caught:
            next(stream)
        assert caught.value.reason == "IMAGE_NOT_FOUND"


def test_stream_that_is_cancelled_raises_cancelled(serve):
    with serve() as target, proa.connect(target, **LOGIN) as client:
        stream = client.images.PullImage(v1.PullImageRequest(image="debian:12"))
        stream.cancel()
        with pytest.raises(proa.Cancelled):
            list(stream)


def test_stream_with_a_wrong_password_raises_unauthenticated(serve):
    with serve() as target, proa.connect(target, username="ann", password="x") as client:
        with pytest.raises(proa.Unauthenticated) as caught:
            list(client.images.PullImage(v1.PullImageRequest(image="debian:12")))
        assert caught.value.reason == "BAD_CREDENTIALS"


def test_list_resources_fetches_all_pages(serve):
    with serve() as target, proa.connect(target, **LOGIN) as client:
        assert [r.name for r in client.list_resources()] == ["r0", "r1", "r2", "r3", "r4"]


def test_call_over_a_unix_socket_succeeds(serve, tmp_path):
    with serve(f"unix:{tmp_path}/proa.sock") as target, proa.connect(target, **LOGIN) as client:
        assert client.hosts.GetHost(HOST).host.hostname == "small"


def test_response_of_5_mib_passes_unless_the_caller_limits_it(serve, small_daemon):
    small_daemon.hosts.host.hostname = "x" * (5 * 2**20)
    with serve() as target:
        with proa.connect(target, **LOGIN) as client:
            assert len(client.hosts.GetHost(HOST).host.hostname) == 5 * 2**20
        small = [("grpc.max_receive_message_length", 2**20)]
        with (
            proa.connect(target, **LOGIN, options=small) as client,
            pytest.raises(proa.ResourceExhausted),
        ):
            client.hosts.GetHost(HOST)


def unavailable(status):
    return status(grpc.StatusCode.UNAVAILABLE, "ENGINE_UNREACHABLE", "down")


def test_repeatable_call_is_retried_after_unavailable(serve, small_daemon, status):
    with serve() as target, proa.connect(target, **LOGIN) as client:
        small_daemon.failures = [unavailable(status)] * 2
        assert client.hosts.GetHost(HOST).host.hostname == "small"
    assert small_daemon.calls["GetHost"] == 3


def test_repeatable_call_is_retried_three_times_at_most(serve, small_daemon, status):
    with serve() as target, proa.connect(target, **LOGIN) as client:
        small_daemon.failures = [unavailable(status)] * 10
        with pytest.raises(proa.Unavailable) as caught:
            client.hosts.GetHost(HOST)
    assert caught.value.reason == "ENGINE_UNREACHABLE"
    assert small_daemon.calls["GetHost"] == 4


def test_changing_call_is_not_retried(serve, small_daemon, status):
    with serve() as target, proa.connect(target, **LOGIN) as client:
        small_daemon.failures = [unavailable(status)]
        with pytest.raises(proa.Unavailable):
            client.resources.StartResource(v1.StartResourceRequest(id="r1"))
    assert small_daemon.calls["StartResource"] == 1


def test_call_without_a_daemon_raises_unavailable():
    with proa.connect("127.0.0.1:1", token="x") as client, pytest.raises(proa.Unavailable):
        client.resources.StartResource(v1.StartResourceRequest(id="r1"))


@pytest.mark.parametrize("timeout", [0.2, timedelta(milliseconds=200)])
def test_call_past_the_default_deadline_raises_deadline_exceeded(silent_target, timeout):
    begun = time.monotonic()
    with proa.connect(silent_target, token="x", timeout=timeout) as client:
        with pytest.raises(proa.DeadlineExceeded):
            client.hosts.GetHost(HOST)
        with pytest.raises(proa.DeadlineExceeded):
            client.hosts.GetHost(HOST, timeout=0.1)
    assert time.monotonic() - begun < 5


def test_login_without_a_default_deadline_has_one_of_its_own(silent_target):
    source = proa.tokens.Password(**LOGIN)
    timing = ClientTiming(login_timeout=0.2)
    with (
        proa.Client(grpc.insecure_channel(silent_target), source, timing=timing) as client,
        pytest.raises(proa.DeadlineExceeded),
    ):
        client.hosts.GetHost(HOST)


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
def test_endpoint_on_this_host_is_local(target):
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
def test_connect_with_a_secret_over_an_insecure_network_raises_value_error(target, credentials):
    with pytest.raises(ValueError, match="in the clear"):
        proa.connect(target, **credentials)
    with pytest.raises(ValueError, match="in the clear"):
        proa.aio.connect(target, **credentials)
    proa.connect(target, **credentials, allow_insecure=True).close()
    proa.connect(target, **credentials, tls=True).close()


def test_request_with_a_password_over_an_insecure_network_raises_value_error():
    with proa.connect("192.0.2.1:50051") as client:
        with pytest.raises(ValueError, match="in the clear"):
            client.auth.CreateToken(v1.CreateTokenRequest(username="ann", password="x"))
        with pytest.raises(ValueError, match="in the clear"):
            client.images.LoginRegistry(v1.LoginRegistryRequest(username="ann", password="x"))


def test_repr_of_a_password_hides_it():
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
def test_connect_with_contradicting_arguments_raises_value_error(arguments, text):
    with pytest.raises(ValueError, match=text):
        proa.connect(**arguments)


def test_scopes_by_name_are_all_that_the_contract_has():
    names = ["basic", "advanced", "audit"]
    scopes = tuple(number for number in v1.Scope.values() if number)
    expected = proa.tokens.Password("ann", "x", scopes)
    assert proa.tokens.source_of(None, "ann", "x", names) == expected


def test_endpoint_without_a_target_uses_the_variable_or_the_default(monkeypatch):
    def chosen(target=None):
        return Endpoint.of(target, tls=None, allow_insecure=False).target

    monkeypatch.delenv("PROA_TARGET", raising=False)
    assert chosen() == DEFAULT_TARGET
    monkeypatch.setenv("PROA_TARGET", "unix:/run/proa.sock")
    assert chosen() == "unix:/run/proa.sock"
    assert chosen("127.0.0.1:1") == "127.0.0.1:1"


@pytest.mark.parametrize(
    ("given", "target"),
    [
        ("vm-host", "vm-host:50051"),
        ("vm-host.example", "vm-host.example:50051"),
        ("localhost", "localhost:50051"),
        ("192.0.2.1", "192.0.2.1:50051"),
        ("::1", "[::1]:50051"),
        ("2001:db8::1", "[2001:db8::1]:50051"),
        ("fe80::1%eth0", "[fe80::1%eth0]:50051"),
        ("[::1]", "[::1]:50051"),
        ("[fe80::1%eth0]", "[fe80::1%eth0]:50051"),
        *(
            (same, same)
            for same in (
                "vm-host:1",
                "192.0.2.1:443",
                "[::1]:1",
                "unix:/run/proa.sock",
                "unix:proa.sock",
                "unix-abstract:proa",
                "dns:///vm-host",
                "ipv4:127.0.0.1:1,192.0.2.1:2",
                "xds:///vm-host",
                "/run/proa.sock",
            )
        ),
    ],
)
def test_endpoint_of_a_host_without_port_adds_the_default_port(given, target):
    assert Endpoint.of(given, tls=None, allow_insecure=False).target == target


@pytest.mark.parametrize(
    "target",
    [
        "vm-host:",
        "vm-host:0",
        "vm-host:65536",
        "[::1]:99999",
        "127.0.0.1:" + "7" * 400,
        ":50051",
        "unix:",
        "http://vm-host:50051",
        "HTTPS://vm-host",
        "grpc://vm-host",
    ],
)
def test_endpoint_of_a_url_or_an_invalid_port_raises_value_error(target):
    with pytest.raises(ValueError, match="is no target; write HOST, HOST:PORT"):
        proa.connect(target)


@pytest.mark.parametrize(
    ("target", "where"),
    [
        ("127.0.0.1:1", ("127.0.0.1", 1)),
        ("[::1]:2", ("::1", 2)),
        ("dns:///vm-host:3", ("vm-host", 3)),
        ("unix:/run/proa.sock", "/run/proa.sock"),
        ("unix:///run/proa.sock", "/run/proa.sock"),
        ("unix:proa.sock", "proa.sock"),
        ("xds:///vm-host", None),
        ("dns:///vm-host", None),
    ],
)
def test_address_of_a_target_is_its_socket_address(target, where):
    assert address(target) == where
