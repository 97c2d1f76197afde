"""A reload of a daemon in a process of its own: what is in force after it, and what is not."""

import signal
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import grpc
import pytest
from cryptography import x509

import proa
from certificates import DAY, Authority, Issued, client_tls
from eventually import wait_until
from integration.daemon.conftest import BIN, Daemon
from other_user import may_connect
from proa import v1

Start = Callable[..., Daemon]
CALLER = v1.GetCallerRequest()


@pytest.fixture
def authority() -> Authority:
    return Authority()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "proad.toml"


@pytest.fixture
def secure(
    start_daemon: Start, tmp_path: Path, config: Path, authority: Authority
) -> Callable[..., Daemon]:
    """Start a daemon with a certificate; with `clients`, callers must show one of that authority."""

    def start(clients: Authority | None = None) -> Daemon:
        authority.server().write(tmp_path, "server")
        lines = [f'tls_{kind}_file = "{tmp_path}/server.{end}"' for kind, end in FILES]
        if clients is not None:
            (tmp_path / "clients.crt").write_bytes(clients.pem)
            lines.append(f'tls_client_ca_file = "{tmp_path}/clients.crt"')
        config.write_text("\n".join(lines) + "\n")
        return start_daemon("--memory", "--config", str(config))

    return start


FILES = (("cert", "crt"), ("key", "key"))


def proad_reload(daemon: Daemon, code: int = 0) -> str:
    """Return the output of `proad reload`, or its standard error if it fails."""
    done = subprocess.run(
        [BIN / "proad", "reload", *daemon.arguments[1:]],
        env=daemon.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout if code == 0 else done.stderr


def shown(daemon: Daemon) -> int:
    """Return the serial number of the certificate that a new connection is shown."""
    host, _, port = daemon.address.rpartition(":")
    pem = ssl.get_server_certificate((host, int(port)))
    return x509.load_pem_x509_certificate(pem.encode()).serial_number


def test_reload_shows_new_connections_the_new_certificate_and_keeps_the_old(
    secure: Callable[..., Daemon], authority: Authority, tmp_path: Path
):
    daemon = secure()
    newer = authority.server()
    with daemon.client(tls=client_tls(tmp_path, authority)) as client:
        watch = client.resources.WatchResources(v1.WatchResourcesRequest())
        next(watch)
        newer.write(tmp_path, "server")
        assert shown(daemon) != newer.certificate.serial_number

        output = proad_reload(daemon)

        assert output == "reloaded; changed settings: tls_cert_file, tls_key_file\n"
        assert shown(daemon) == newer.certificate.serial_number
        client.containers.CreateContainer(
            v1.CreateContainerRequest(spec=v1.ContainerSpec(image="proa-test/busybox:1"))
        )
        assert any(event.HasField("change") for answer in watch for event in answer.events)


def test_reload_holds_new_connections_against_the_new_client_authority(
    secure: Callable[..., Daemon], authority: Authority, tmp_path: Path
):
    before, after = Authority("before"), Authority("after")
    daemon = secure(clients=before)
    once = (("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1))

    @contextmanager
    def client(issued: Issued) -> Iterator[proa.Client]:
        tls = client_tls(tmp_path, authority, issued)
        with daemon.client(tls=tls, options=once) as client:
            yield client

    with client(before.issue()) as connected:
        assert connected.auth.GetCaller(CALLER).username == "ada"
        with client(after.issue()) as early, pytest.raises(proa.Unavailable):
            early.auth.GetCaller(CALLER, timeout=5)
        (tmp_path / "clients.crt").write_bytes(after.pem)

        assert proad_reload(daemon) == "reloaded; changed settings: tls_client_ca_file\n"

        assert connected.auth.GetCaller(CALLER).username == "ada"
        with client(after.issue()) as new:
            assert new.auth.GetCaller(CALLER).username == "ada"
        with client(before.issue()) as late, pytest.raises(proa.Unavailable):
            late.auth.GetCaller(CALLER, timeout=5)


@pytest.mark.parametrize("broken", ["key of another", "expired", "garbage", "open key"])
def test_reload_of_a_broken_file_changes_nothing_and_says_why(
    secure: Callable[..., Daemon], authority: Authority, config: Path, tmp_path: Path, broken: str
):
    daemon = secure()
    before = shown(daemon)
    config.write_text(config.read_text() + 'log_level = "warning"\n')
    cause = "is not the key of the first certificate"
    match broken:
        case "key of another":
            (tmp_path / "server.crt").write_bytes(authority.server().chain)
        case "expired":
            authority.issue("old", end=-DAY / 2).write(tmp_path, "server")
            cause = "expired on"
        case "garbage":
            (tmp_path / "server.crt").write_text("garbage")
            cause = "must have certificates in PEM"
        case "open key":
            (tmp_path / "server.crt").write_bytes(authority.server().chain)
            (tmp_path / "server.key").chmod(0o644)
            cause = "others may use this key"

    text = proad_reload(daemon, code=1)

    assert "not reloaded, nothing changed" in text
    assert cause in text
    assert shown(daemon) == before
    assert daemon.log()[-1]["event"] != "reloaded"
    assert [event["level"] for event in daemon.log() if event["event"] == "not reloaded"] == [
        "error"
    ]
    with daemon.client(tls=client_tls(tmp_path, authority)) as client:
        client.auth.GetCaller(CALLER)
    daemon.stop()
    # At the level "info", as before: lines of calls would be missing at "warning".
    assert any(event["event"] == "call" for event in daemon.log())


def test_reload_of_settings_that_are_invalid_changes_nothing(start_daemon: Start, config: Path):
    config.write_text("")
    daemon = start_daemon("--memory", "--config", str(config))
    config.write_text('log_level = "loud"\n')

    text = proad_reload(daemon, code=2)
    assert daemon.process is not None
    daemon.process.send_signal(signal.SIGHUP)

    assert f"{config}: log_level: Input should be" in text
    wait_until(lambda: any(event["event"] == "not reloaded" for event in daemon.log()))
    assert "log_level: Input should be" in daemon.log()[-1]["cause"]
    with daemon.client() as client:
        client.auth.GetCaller(CALLER)


def test_reload_names_what_needs_a_restart(start_daemon: Start, config: Path):
    config.write_text("")
    daemon = start_daemon("--memory", "--config", str(config))
    config.write_text(
        'log_level = "debug"\ntoken_lifetime = "1h"\n[[host]]\nlibvirt_uri = "qemu:///system"\n'
    )

    assert proad_reload(daemon).splitlines() == [
        "reloaded; changed settings: log_level",
        "not in force before the daemon is restarted: host, token_lifetime",
    ]


def test_reload_that_adds_tls_says_that_all_of_it_needs_a_restart(
    start_daemon: Start, tmp_path: Path, config: Path, authority: Authority
):
    config.write_text("")
    daemon = start_daemon("--memory", "--config", str(config))
    authority.server().write(tmp_path, "server")
    (tmp_path / "clients.crt").write_bytes(authority.pem)
    files = (*((kind, f"server.{end}") for kind, end in FILES), ("client_ca", "clients.crt"))
    config.write_text("".join(f'tls_{kind}_file = "{tmp_path}/{file}"\n' for kind, file in files))

    assert proad_reload(daemon).splitlines() == [
        "reloaded; changed settings: none",
        (
            "not in force before the daemon is restarted: "
            "tls_cert_file, tls_client_ca_file, tls_key_file"
        ),
    ]


def test_sighup_reloads_the_log_level(start_daemon: Start, config: Path):
    config.write_text("")
    daemon = start_daemon("--memory", "--config", str(config))
    assert daemon.process is not None
    with daemon.client() as client:
        client.auth.GetCaller(CALLER)
        wait_until(lambda: daemon.log()[-1]["event"] == "call")
        config.write_text('log_level = "error"\n')

        daemon.process.send_signal(signal.SIGHUP)

        def silent() -> bool:
            before = len(daemon.log())
            proad_reload(daemon)  # after the signal, since reloads follow each other
            return len(daemon.log()) == before

        wait_until(silent)
        config.write_text("")
        proad_reload(daemon)
        assert daemon.log()[-1]["event"] == "reloaded"


def test_sighup_reloads_after_one_that_met_what_nobody_expects(start_daemon: Start, config: Path):
    config.write_text("")
    daemon = start_daemon("--memory", "--config", str(config))
    assert daemon.process is not None

    def told(event: str) -> bool:
        return any(each["event"] == event for each in daemon.log())

    config.write_text(f"log_level = {'[' * 100_000}")  # deeper than the parser can go
    daemon.process.send_signal(signal.SIGHUP)
    wait_until(lambda: told("not reloaded"))
    config.write_text("")
    daemon.process.send_signal(signal.SIGHUP)
    wait_until(lambda: told("reloaded"))


def test_control_socket_refuses_other_users(start_daemon: Start):
    daemon = start_daemon("--memory")
    state = Path(daemon.environment["PROA_STATE_DIR"])
    state.chmod(0o755)  # the socket itself must do
    control = state / "control.sock"

    assert not may_connect(control)
    control.chmod(0o666)
    assert may_connect(control)


def test_broken_tls_writes_no_lines(
    secure: Callable[..., Daemon], authority: Authority, tmp_path: Path
):
    """Strangers could fill a disk with them."""
    daemon = secure()
    host, _, port = daemon.address.rpartition(":")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["h2"])
    for begun in (False, True, True):
        with socket.create_connection((host, int(port))) as first:
            shaken = context.wrap_socket(first).detach() if begun else first.detach()
            with socket.socket(fileno=shaken) as connection:
                connection.sendall(b"\x17\x03\x03\x00\x40" + bytes(64))
                with suppress(ConnectionError):
                    while connection.recv(4096):
                        pass
    with daemon.client(tls=client_tls(tmp_path, authority)) as client:
        client.auth.GetCaller(CALLER)
    daemon.stop()

    lines = (daemon.home / "log").read_text().splitlines()
    assert [line for line in lines if not line.startswith("{")] == []


def test_rotations_under_load_fail_no_call(
    secure: Callable[..., Daemon], authority: Authority, tmp_path: Path
):
    """A hundred calls a second, each on a connection that exists or on one of its own."""
    daemon = secure()
    tls = client_tls(tmp_path, authority)
    failures: list[BaseException] = []
    calls = 0
    rotations = 10
    ended = threading.Event()
    with daemon.client(tls=tls) as first:
        token = first.auth.CreateToken(
            v1.CreateTokenRequest(username="ada", password="correct horse")
        ).token

    def call() -> None:
        nonlocal calls
        credentials = tls.credentials()
        options = (("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1))
        with grpc.secure_channel(daemon.address, credentials, options=options) as kept:
            while not ended.wait(0.02):
                try:
                    with grpc.secure_channel(daemon.address, credentials, options=options) as own:
                        for channel in (kept, own):
                            stub = v1.AuthServiceStub(channel)
                            metadata = (("authorization", f"Bearer {token}"),)
                            stub.GetCaller(CALLER, metadata=metadata, timeout=30)
                            calls += 1
                except grpc.RpcError as error:
                    failures.append(error)

    callers = [threading.Thread(target=call) for _ in range(4)]
    for caller in callers:
        caller.start()
    try:
        for _ in range(rotations):
            newer = authority.server()
            newer.write(tmp_path, "server")
            proad_reload(daemon)
            assert shown(daemon) == newer.certificate.serial_number
    finally:
        ended.set()
        for caller in callers:
            caller.join()

    assert failures == []
    assert calls > 100
