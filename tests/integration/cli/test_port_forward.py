"""Ports inside resources through both clients and the command line, on a daemon with a memory engine."""

import asyncio
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

import proa
from integration.cli.conftest import PASSWORD
from integration.daemon.conftest import PASSWORD as OWN_PASSWORD
from proa import v1

ANN: dict[str, Any] = {"username": "ann", "password": PASSWORD}
PROA = "from proa.cli import main; main()"
PAGE = b"hello from the imitated workload\n"
GET = b"GET / HTTP/1.0\r\n\r\n"
ECHO, ENDLESS, WEB, NOBODY = 7, 19, 80, 1


@contextmanager
def forwarding(daemon, *arguments, program=PROA, **user):
    """Run `proa port-forward`, and give its process."""
    user = {"PROA_USERNAME": "ann", "PROA_PASSWORD": PASSWORD, "PYTHONUNBUFFERED": "1", **user}
    command = [sys.executable, "-c", program, "--target", daemon, "port-forward", *arguments]
    with subprocess.Popen(
        command,
        env={**os.environ, **user},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def place(line):
    """Return where a line says that it forwards from."""
    host, _, port = line.split()[2].rpartition(":")
    return host, int(port)


def page(address):
    with socket.create_connection(address, timeout=60) as carrier:
        carrier.sendall(GET)
        said = b""
        while piece := carrier.recv(65536):
            said += piece
        return said.rpartition(b"\r\n\r\n")[2]


def test_port_forward_serves_many_connections_until_ctrl_c(daemon, web):
    with forwarding(daemon, web, ":80", f":{ECHO}") as process:
        lines = [process.stdout.readline() for _ in range(2)]
        assert [line.split("->")[1].strip() for line in lines] == ["80", "7"]
        assert all(line.startswith("Forwarding from 127.0.0.1:") for line in lines)
        with ThreadPoolExecutor(50) as pool:
            assert [*pool.map(page, [place(lines[0])] * 100)] == [PAGE] * 100
        with socket.create_connection(place(lines[1]), timeout=60) as echo:
            echo.sendall(b"one")
            assert echo.recv(100) == b"one"
            echo.shutdown(socket.SHUT_WR)
            assert echo.recv(100) == b""
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert process.stderr.read() == ""


def test_ctrl_c_that_the_event_loop_misses_ends_it_all_the_same(daemon, web):
    ring = """
import signal, sys, threading
def ring():
    sys.stdin.readline()
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)  # as to a thread that does not wait
threading.Thread(target=ring, daemon=True).start()
"""
    with forwarding(daemon, web, ":80", program=ring + PROA) as process:
        assert process.stdout.readline()
        process.stdin.write("now\n")
        process.stdin.flush()
        assert process.wait(60) == 130
        assert process.stderr.read() == ""


def test_port_forward_of_a_port_where_nobody_listens_says_so_and_goes_on(daemon, web):
    with forwarding(daemon, web, f":{NOBODY}", ":80") as process:
        lines = [process.stdout.readline() for _ in range(2)]
        with (
            socket.create_connection(place(lines[0]), timeout=60) as refused,
            pytest.raises(ConnectionResetError),
        ):
            refused.recv(1)
        assert "nobody listens on port 1" in process.stderr.readline()
        assert process.stderr.readline() == "Reason: CONNECTION_FAILED\n"
        assert page(place(lines[1])) == PAGE


def test_connections_that_are_reset_here_end_no_other(daemon, web):
    with forwarding(daemon, web, f":{ENDLESS}", ":80", f":{ECHO}") as process:
        endless, pages, echoes = (place(process.stdout.readline()) for _ in range(3))
        with socket.create_connection(echoes, timeout=60) as echo:
            for _ in range(5):
                carrier = socket.create_connection(endless, timeout=60)
                assert carrier.recv(1000)
                carrier.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                carrier.close()
            assert page(pages) == PAGE
            echo.sendall(b"still")
            assert echo.recv(100) == b"still"
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert process.stderr.read() == ""


def test_port_forward_of_more_connections_than_a_user_may_have_tells_the_setting(daemons):
    own = daemons("--memory", PROA_USER_REQUEST_STREAMS="2")
    with own.client() as client:
        [*client.images.PullImage(v1.PullImageRequest(image="debian:12"))]
        spec = v1.ContainerSpec(name="web", image="debian:12", command=["sleep", "600"])
        client.containers.CreateContainer(v1.CreateContainerRequest(spec=spec, start=True))
    user = {"PROA_USERNAME": "ada", "PROA_PASSWORD": OWN_PASSWORD}
    with forwarding(own.address, "web", f":{ECHO}", **user) as process, ExitStack() as open:
        address = place(process.stdout.readline())
        for _ in range(2):
            echo = open.enter_context(socket.create_connection(address, timeout=60))
            echo.sendall(b"one")
            assert echo.recv(100) == b"one"
        one_more = open.enter_context(socket.create_connection(address, timeout=60))
        with pytest.raises(ConnectionResetError):
            one_more.recv(1)
        assert "2 commands, consoles, connections" in process.stderr.readline()
        assert process.stderr.readline() == "Reason: TOO_MANY_CALLS\n"
        echo.sendall(b"two")
        assert echo.recv(100) == b"two"


def test_port_forward_connection_is_reset_when_the_resource_stops(ann, daemon, web):
    with forwarding(daemon, "-o", "json", web, f":{ECHO}") as process:
        told = json.loads(process.stdout.readline())
        assert told["forwarded_port"] == ECHO
        with socket.create_connection((told["address"], told["port"]), timeout=60) as echo:
            echo.sendall(b"one")
            assert echo.recv(100) == b"one"
            ann.ok("stop", "--mode", "force", web)
            with pytest.raises(ConnectionResetError):
                echo.recv(1)
        assert json.loads(process.stderr.readline())["error"]["reason"] == "RESOURCE_NOT_RUNNING"


def test_port_forward_leads_to_a_unix_socket(daemon, web):
    with forwarding(daemon, web, ":/run/http.sock", ":/run/nobody.sock") as process:
        lines = [process.stdout.readline() for _ in range(2)]
        assert lines[0].endswith(" -> /run/http.sock\n")
        assert page(place(lines[0])) == PAGE
        with (
            socket.create_connection(place(lines[1]), timeout=60) as refused,
            pytest.raises(ConnectionResetError),
        ):
            refused.recv(1)
        assert "nobody listens on /run/nobody.sock" in process.stderr.readline()
    with forwarding(daemon, "-o", "json", web, ":/run/http.sock") as process:
        assert json.loads(process.stdout.readline())["forwarded_socket"] == "/run/http.sock"


def test_port_forward_to_a_socket_without_a_local_port_says_what_is_missing(ann, web):
    told = ann.fails(2, "port-forward", web, "/run/http.sock")
    assert "needs a port of this machine: 8080:/run/http.sock" in " ".join(told.split())


@pytest.mark.parametrize(
    "pair", ["", "x", "1:2:3", "0", "65536", "70000:80", "-1:80", "70000:/run/a", "80:run/a"]
)
def test_port_forward_of_what_is_no_port_is_refused(ann, web, pair):
    assert "is not [[LOCAL]:]PORT" in ann.fails(2, "port-forward", "--", web, pair)


def test_port_forward_of_what_does_not_run_is_refused(ann, web):
    ann.ok("stop", "--mode", "force", web)
    assert "is stopped" in ann.fails(5, "port-forward", web, ":80")
    ann.fails(3, "port-forward", "nothing", ":80")


def test_port_forward_from_a_port_that_is_taken_is_refused(ann, web):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = ann.fails(2, "port-forward", web, f"{port}:80")
    assert told == (
        f"Error: '127.0.0.1:{port}': Address already in use; :80 takes any port that is free\n"
    )


def test_client_passes_bytes_both_ways(daemon, web):
    with proa.connect(daemon, **ANN) as client:
        with client.forward_port(web, ECHO) as connection:
            assert connection.address == f"127.0.0.1:{ECHO}"
            connection.write(b"one")
            assert connection.read() == b"one"
            data = bytes(range(256)) * 20_000

            def send():
                connection.write(data)
                connection.end_input()

            sending = threading.Thread(target=send)
            sending.start()
            assert b"".join(connection) == data
            sending.join()
            assert connection.read() == b""
            with pytest.raises(BrokenPipeError):
                connection.write(b"more")
        with client.forward_port(web, WEB) as connection:
            connection.write(GET)
            assert b"".join(connection).endswith(PAGE)
        with client.forward_port(web, ENDLESS) as connection:
            assert not any(connection.read())
        with client.forward_port(web, socket_path="/run/http.sock") as connection:
            assert connection.address == "/run/http.sock"
            connection.write(GET)
            assert b"".join(connection).endswith(PAGE)
        with pytest.raises(proa.Unavailable) as refused, client.forward_port(web, NOBODY):
            pytest.fail("somebody listens")
        assert (refused.value.reason, refused.value.metadata["cause"]) == (
            "CONNECTION_FAILED",
            "refused",
        )


async def test_asyncio_client_passes_bytes_both_ways(daemon, web):
    async with proa.aio.connect(daemon, **ANN) as client:
        async with client.forward_port(web, ECHO) as connection:
            await connection.write(b"one")
            assert await connection.read() == b"one"
            await connection.end_input()
            assert [data async for data in connection] == []
        async with client.forward_port(web, ENDLESS) as connection:
            assert not any(await connection.read())
        async with client.forward_port(web, socket_path="/run/echo.sock") as connection:
            await connection.write(b"one")
            assert await connection.read() == b"one"
        with pytest.raises(proa.Unavailable):
            async with client.forward_port(web, NOBODY):
                pytest.fail("somebody listens")


async def test_asyncio_listener_leads_two_hundred_connections_inside_at_once(daemon, web):
    failures: list[proa.Error] = []
    async with (
        proa.aio.connect(daemon, **ANN) as client,
        client.listen_port(web, ECHO, on_error=failures.append) as listener,
    ):

        async def trial(number):
            reader, writer = await asyncio.open_connection(*listener.address)
            writer.write(b"%d" % number)
            writer.write_eof()
            said = await reader.read()
            writer.close()
            return said

        answers = await asyncio.gather(*map(trial, range(190)))
    assert answers == [b"%d" % number for number in range(190)]
    assert failures == []
