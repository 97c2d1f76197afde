from pathlib import Path

import pytest

from proad.config import TcpAddress, UnixAddress, parse_listen_address


@pytest.mark.parametrize(
    ("text", "address", "written"),
    [
        ("127.0.0.1:50051", TcpAddress("127.0.0.1", 50051), "127.0.0.1:50051"),
        ("localhost:0", TcpAddress("localhost", 0), "localhost:0"),
        ("[::1]:50051", TcpAddress("::1", 50051), "[::1]:50051"),
        ("[0:0::1]:1", TcpAddress("::1", 1), "[::1]:1"),
        ("host-1.example:65535", TcpAddress("host-1.example", 65535), "host-1.example:65535"),
        ("unix:/run/p.sock", UnixAddress(Path("/run/p.sock")), "unix:/run/p.sock"),
        ("unix:///run/p.sock", UnixAddress(Path("/run/p.sock")), "unix:/run/p.sock"),
    ],
)
def test_parse_listen_address_reads_what_str_returns(text, address, written):
    assert parse_listen_address(text) == address
    assert str(address) == written


def test_parse_listen_address_of_a_relative_socket_uses_the_working_folder():
    assert parse_listen_address("unix:p.sock") == UnixAddress(Path.cwd() / "p.sock")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "50051",
        ":50051",
        "localhost",
        "localhost:",
        "localhost:-1",
        "localhost:65536",
        "localhost:\u0665",  # a digit, but not one of ASCII
        "::1:50051",
        "[127.0.0.1]:1",
        "[::1]",
        "300.1.1.1:1",
        "-a:1",
        "a b:1",
        "http://localhost:1",
        "unix:",
        "unix:a\0b",
        "unix:/" + "x" * 107,
    ],
)
def test_parse_listen_address_of_another_text_raises_value_error(text):
    with pytest.raises(ValueError, match=r"\S"):
        parse_listen_address(text)


@pytest.mark.parametrize(
    ("text", "local"),
    [
        ("127.0.0.1:1", True),
        ("127.3.2.1:1", True),
        ("[::1]:1", True),
        ("localhost:1", True),
        ("unix:/a", True),
        ("0.0.0.0:1", False),
        ("[::]:1", False),
        ("10.0.0.1:1", False),
        ("myhost:1", False),
    ],
)
def test_is_local_of_loopback_and_sockets_is_true(text, local):
    assert parse_listen_address(text).is_local is local
