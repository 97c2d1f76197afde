"""Engine messages, which contain texts of callers, images and registries."""

import re
import time

import pytest

from proad.drivers.docker.errors import refused, registry_refused
from proad.drivers.docker.refusals import REFUSALS, REGISTRIES, known
from proad.errors import EngineConflictError, HostExhaustedError, InvalidArgumentError
from proad.model import ContainerSpec

LENGTH = 100_000
MOST = 0.020
# A busy machine makes single tries slow.
TRIES = 5
ROWS = {row.name: row for row in (*REFUSALS, *REGISTRIES)}


def beginnings(pattern: str):
    """Return literal texts with which a match of the pattern may begin."""
    plain = pattern.replace(r"\S+", "x").replace(r"\w+", "x").replace(r"\d+", "1")
    plain = re.sub(r"\(\?P<value>|\(\?:", "(", plain).replace("[^\\n]*", "x")
    for piece in re.split(r"[()|]", plain):
        text = re.sub(r"\[([^\^\]])[^\]]*\][+*?]*", r"\1", piece).replace("\\", "")
        text = text.partition("[")[0]
        if len(text) > 1:
            yield from (text, f"{text} ", f'{text}": ', f"{text}: ")


def fastest(call) -> float:
    times = []
    for _ in range(TRIES):
        began = time.thread_time()
        call()
        times.append(time.thread_time() - began)
        if times[-1] < MOST:
            break
    return min(times)


@pytest.mark.parametrize("name", ROWS)
def test_known_text_with_repeated_pattern_start_is_fast(name):
    for beginning in beginnings(ROWS[name].pattern.pattern):
        text = (beginning * LENGTH)[:LENGTH]
        for status in (400, 404, 409, 500):
            took = fastest(lambda text=text, status=status: refused(status, text))
            assert took < MOST, (beginning, status)
            took = fastest(
                lambda text=text, status=status: registry_refused("r.test", "i", status, text)
            )
            assert took < MOST, (beginning, status)


def test_refused_program_with_long_name_is_fast():
    # The message of Docker 28 for an entrypoint of 49,000 characters.
    program = 'abc\\": ' + "create " * 7000
    text = (
        f'unable to start container process: exec: "{program}": executable file not found in $PATH'
    )
    assert fastest(lambda: refused(400, text)) < MOST


def test_refused_text_with_long_value_is_recognized():
    program = "x" * LENGTH
    text = f'runc create failed: exec: "{program}": executable file not found in $PATH: unknown'
    names = {row.name for row, _ in known(REFUSALS, 500, f"{program}: no space left on device")}
    assert names == {"no space on the disk"}
    names = {row.name for row, _ in known(REFUSALS, 400, text)}
    assert names == {"no such program"}
    error = refused(400, text, ContainerSpec(image="i", command=(program,)))
    assert isinstance(error, InvalidArgumentError)


@pytest.mark.parametrize(
    "user", ["no space left on device", "cannot allocate memory", "syntax error in pattern"]
)
def test_refused_user_named_like_host_trouble_is_wrong_user(user):
    text = f"unable to find user {user}: no matching entries in passwd file"
    error = refused(500, text, ContainerSpec(image="i"))
    assert isinstance(error, InvalidArgumentError)
    assert [violation.field for violation in error.violations] == ["spec.user"]
    assert isinstance(refused(500, text), EngineConflictError)


@pytest.mark.parametrize(
    "text",
    [
        "mkdir /var/lib/docker/overlay2/x: no space left on device",
        "OCI runtime create failed: write /proc/x: no space left on device: unknown",
        "fork/exec /usr/bin/containerd-shim-runc-v2: cannot allocate memory: unknown",
    ],
)
def test_refused_without_disk_space_is_host_exhausted(text):
    assert isinstance(refused(500, text, ContainerSpec(image="i")), HostExhaustedError)
