"""The daemon as a process: its start, its end, its addresses, its databases."""

import signal
import socket
import stat
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from grpc_health.v1 import health_pb2

import grpc_services
import proa
from eventually import wait_until
from integration.daemon.conftest import BIN, PASSWORD, Daemon, under_way
from proa import v1

Start = Callable[..., Daemon]
IMAGE = "proa-test/busybox:1"
DEAF = ["sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"]


def test_unix_socket_serves_its_group_alone(start_daemon: Start, tmp_path):
    path = tmp_path / "proa.sock"
    daemon = start_daemon("--memory", PROA_LISTEN=f"unix:{path}")

    with proa.connect(f"unix:{path}", username="ada", password=PASSWORD) as client:
        assert list(client.list_resources()) == []
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    assert daemon.stop() == 0


def test_second_daemon_on_the_same_port_does_not_start(start_daemon: Start):
    first = start_daemon("--memory")

    with pytest.raises(AssertionError, match="cannot listen on"):
        start_daemon("--memory", PROA_LISTEN=first.address)


def test_second_daemon_on_the_same_socket_does_not_start(start_daemon: Start, tmp_path):
    path = tmp_path / "proa.sock"
    first = start_daemon("--memory", PROA_LISTEN=f"unix:{path}")
    assert first.process is not None

    refusal = rf"another process serves there; .* \(process {first.process.pid}\)"
    with pytest.raises(AssertionError, match=refusal):
        start_daemon("--memory", PROA_LISTEN=f"unix:{path}")

    with proa.connect(f"unix:{path}", username="ada", password=PASSWORD) as client:
        client.auth.GetCaller(v1.GetCallerRequest())


def test_daemons_started_at_once_on_one_socket_one_serves(start_daemon: Start, tmp_path):
    path = tmp_path / "proa.sock"
    daemons = [Daemon(tmp_path / f"{n}", {"PROA_LISTEN": f"unix:{path}"}) for n in range(4)]
    processes = []
    for daemon in daemons:
        with (daemon.home / "log").open("wb") as log:
            command = [str(BIN / "proad"), "serve", "--memory"]
            processes.append(subprocess.Popen(command, env=daemon.environment, stderr=log))
    try:
        wait_until(
            lambda: sum(process.poll() is not None for process in processes) == 3, within=120
        )
        codes = [process.poll() for process in processes]
        assert sorted(codes, key=str) == [1, 1, 1, None]
        left = daemons[codes.index(None)]
        wait_until(lambda: any(event["event"] == "serving" for event in left.log()))
        with grpc.insecure_channel(f"unix:{path}") as channel:
            answer = grpc_services.health(channel).Check(health_pb2.HealthCheckRequest())
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    finally:
        for process in processes:
            process.kill()
            process.wait()


def test_second_daemon_on_the_same_state_folder_does_not_start(start_daemon: Start):
    first = start_daemon("--memory")
    state = first.environment["PROA_STATE_DIR"]

    with pytest.raises(AssertionError, match="another proad serves from this folder"):
        start_daemon("--memory", PROA_STATE_DIR=state)

    with first.client() as client:
        client.auth.GetCaller(v1.GetCallerRequest())
    first.stop(signal.SIGKILL)
    start_daemon("--memory", PROA_STATE_DIR=state)


def test_daemon_with_a_stale_socket_file_starts(start_daemon: Start, tmp_path):
    path = tmp_path / "proa.sock"
    first = start_daemon("--memory", PROA_LISTEN=f"unix:{path}")
    first.stop(signal.SIGKILL)
    assert path.exists()

    start_daemon("--memory", PROA_LISTEN=f"unix:{path}")

    with proa.connect(f"unix:{path}", username="ada", password=PASSWORD) as client:
        client.auth.GetCaller(v1.GetCallerRequest())


def test_sigterm_reports_not_serving_and_finishes_a_call(start_daemon: Start):
    daemon = start_daemon("--memory")
    outcome: list[object] = []
    with daemon.client() as client, grpc.insecure_channel(daemon.address) as channel:
        spec = v1.ContainerSpec(image=IMAGE, name="slow", labels={"proa.memory/stop-after": "5"})
        client.containers.CreateContainer(v1.CreateContainerRequest(spec=spec, start=True))
        watch = grpc_services.health(channel).Watch(health_pb2.HealthCheckRequest())
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING

        def stop() -> None:
            outcome.append(client.resources.StopResource(v1.StopResourceRequest(id="slow")))

        stopping = threading.Thread(target=stop)
        stopping.start()
        under_way(client, "slow")
        assert daemon.process is not None
        daemon.process.send_signal(signal.SIGTERM)

        assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
        with daemon.client() as late, pytest.raises(proa.Unavailable):
            late.auth.GetCaller(v1.GetCallerRequest(), timeout=5)
        stopping.join(timeout=30)

    assert outcome
    assert daemon.process.wait(timeout=30) == 0
    assert daemon.log()[-1]["event"] == "stopped"


@pytest.mark.docker
def test_workloads_outlive_every_end_of_the_daemon(start_daemon: Start, token: str, swept):
    daemon = start_daemon()
    with daemon.client() as client:
        spec = v1.ContainerSpec(image=IMAGE, name=token, command=DEAF)
        client.containers.CreateContainer(v1.CreateContainerRequest(spec=spec, start=True))

    daemon.stop(signal.SIGKILL)
    daemon.start()

    client = daemon.client()
    swept(client)
    resource = client.resources.GetResource(v1.GetResourceRequest(id=token)).resource
    assert resource.state == v1.RESOURCE_STATE_RUNNING


@pytest.mark.docker
def test_stop_whose_client_goes_away_is_finished(start_daemon: Start, token: str, swept):
    daemon = start_daemon()
    client = daemon.client()
    swept(client)
    spec = v1.ContainerSpec(image=IMAGE, name=token, command=DEAF)
    client.containers.CreateContainer(v1.CreateContainerRequest(spec=spec, start=True))

    with daemon.client() as dropped:
        dropped.auth.GetCaller(v1.GetCallerRequest())
        call = dropped.resources.StopResource.future(
            v1.StopResourceRequest(
                id=token,
                mode=v1.STOP_MODE_GRACEFUL_THEN_FORCE,
                grace_period=Duration(seconds=5),
            )
        )
        under_way(client, token)
        call.cancel()

    def state() -> v1.ResourceState.ValueType:
        return client.resources.GetResource(v1.GetResourceRequest(id=token)).resource.state

    wait_until(lambda: state() == v1.RESOURCE_STATE_STOPPED)


def test_access_log_has_every_call_once(start_daemon: Start):
    daemon = start_daemon("--memory")
    with daemon.client() as client:
        client.auth.GetCaller(
            v1.GetCallerRequest(), metadata=(("x-correlation-id", "request-of-mine"),)
        )
    daemon.stop()  # a line follows its answer; by now all are written

    (line,) = [event for event in daemon.log() if event.get("correlation_id") == "request-of-mine"]
    assert line["method"] == "/proa.v1.AuthService/GetCaller"
    assert (line["code"], line["subject"]) == ("OK", "ada")
    assert PASSWORD not in (daemon.home / "log").read_text()


def self_signed(folder: Path, name: str) -> None:
    """Make `name.key` and `name.crt`."""
    new = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    files = ["-keyout", f"{name}.key", "-out", f"{name}.crt"]
    whose = ["-subj", "/CN=proa-test", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(["openssl", *new, *files, *whose], cwd=folder, check=True, capture_output=True)


def test_tls_with_client_certificates_serves_these_alone(start_daemon: Start, tmp_path):
    for name in ("server", "client"):
        self_signed(tmp_path, name)
    daemon = start_daemon(
        "--memory",
        PROA_TLS_CERT_FILE=f"{tmp_path}/server.crt",
        PROA_TLS_KEY_FILE=f"{tmp_path}/server.key",
        PROA_TLS_CLIENT_CA_FILE=f"{tmp_path}/client.crt",
    )
    ours = proa.TLS(
        ca_file=tmp_path / "server.crt",
        cert_file=tmp_path / "client.crt",
        key_file=tmp_path / "client.key",
    )

    with daemon.client(tls=ours) as client:
        assert client.auth.GetCaller(v1.GetCallerRequest()).username == "ada"
    once = (("grpc.enable_retries", 0),)
    for refused in (proa.TLS(ca_file=tmp_path / "server.crt"), None):
        with daemon.client(tls=refused, options=once) as client, pytest.raises(proa.Unavailable):
            client.auth.GetCaller(v1.GetCallerRequest(), timeout=5)


def test_log_has_no_failed_handshakes(start_daemon: Start, tmp_path):
    """Each was a line, which anybody can make as many of as they like."""
    self_signed(tmp_path, "server")
    daemon = start_daemon(
        "--memory",
        PROA_TLS_CERT_FILE=f"{tmp_path}/server.crt",
        PROA_TLS_KEY_FILE=f"{tmp_path}/server.key",
    )
    host, _, port = daemon.address.rpartition(":")

    for _ in range(20):
        with socket.create_connection((host, int(port)), timeout=20) as stranger:
            stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
            with suppress(ConnectionError):
                while stranger.recv(1000):
                    pass

    assert daemon.stop() == 0
    lines = (daemon.home / "log").read_text().splitlines()
    assert [line for line in lines if not line.startswith("{")] == []


def test_open_address_without_tls_is_refused(start_daemon: Start):
    with pytest.raises(AssertionError, match="needs TLS"):
        start_daemon("--memory", PROA_LISTEN="0.0.0.0:0")
