"""No outlet shows a credential that is in a URL."""

import time

import pytest

from proad.errors import (
    EngineConflictError,
    EngineUnreachableError,
    InvalidArgumentError,
    SetupError,
    redacted,
)

SECRET = "pl4nted"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"ssh://me:{SECRET}@host:22", "ssh://host:22"),
        (f"ssh://me:a/{SECRET}@b?#{SECRET}@host:22/x", "ssh://host:22/x"),
        (
            f"no driver for qemu+ssh://me:{SECRET}@host/system?keyfile=/k&password={SECRET}: sorry",
            "no driver for qemu+ssh://host/system?keyfile=/k&password=*** sorry",
        ),
        (
            f"'postgresql+psycopg://u:{SECRET}@h/d?sslmode=require&sslpassword={SECRET}&x={SECRET}'",
            "'postgresql+psycopg://h/d?sslmode=require&sslpassword=***&x=***'",
        ),
        (f"proxy=http://u:{SECRET}@p:1,http://v:{SECRET}@q", "proxy=http://q"),
        (f'{{"url": "https://t:{SECRET}@r/x"}}', '{"url": "https://r/x"}'),
        (f"connection to host=h password={SECRET} failed", "connection to host=h password=*** failed"),
        (f"kwargs: {{'password': '{SECRET}', 'port': 1}}", "kwargs: {'password': ***, 'port': 1}"),
        ("a://b c://d", "a://b c://d"),
        ("password: must have at least 8 characters", "password: must have at least 8 characters"),
        ("debian@sha256:0", "debian@sha256:0"),
        ('exec: "/etc/passwd": permission denied', 'exec: "/etc/passwd": permission denied'),
    ],
)  # fmt: skip
def test_redacted_text_has_no_credentials(text, shown):
    assert redacted(text) == shown


@pytest.mark.parametrize("piece", ["a://", "a://@", "a://b?c=d&", "password=", 'password="', "a."])
def test_redaction_takes_linear_time(piece):
    """What is 16 times as long takes nothing like 256 times as long."""

    def cost(count):
        text = piece * count
        started = time.thread_time()
        redacted(text)
        return time.thread_time() - started

    few = min(cost(4000) for _ in range(3))
    many = min(cost(64_000) for _ in range(3))
    assert many < 100 * few + 0.05


def test_errors_have_no_credentials():
    text = f"qemu+ssh://me:{SECRET}@h?password={SECRET}"
    unreachable = EngineUnreachableError("libvirt", text)
    conflict = EngineConflictError("docker", text)
    invalid = InvalidArgumentError.of("image", text)
    setup = SetupError(text)

    for error in (unreachable, conflict, invalid, setup):
        assert SECRET not in f"{error} {error!r} {vars(error)}"
    assert unreachable.cause == "qemu+ssh://h?password=***"
    assert invalid.violations[0].description == unreachable.cause
