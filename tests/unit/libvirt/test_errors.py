import errno
from datetime import timedelta

import libvirt
import pytest

from proad.drivers.libvirt.errors import translate
from proad.errors import (
    CapabilityMissingError,
    EngineConflictError,
    EngineUnreachableError,
    HostExhaustedError,
    ProaError,
    ResourceNotFoundError,
)


def error(code: int, *, int1: int = 0) -> libvirt.libvirtError:
    made = libvirt.libvirtError("call failed")
    made.err = (code, 0, "its own words", 2, "", "", "", int1, 0)
    return made


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("NO_DOMAIN", ResourceNotFoundError),
        ("NO_SUPPORT", CapabilityMissingError),
        ("NO_CONNECT", EngineUnreachableError),
        ("INVALID_CONN", EngineUnreachableError),
        ("NO_MEMORY", HostExhaustedError),
        ("OPERATION_INVALID", EngineConflictError),
        ("INTERNAL_ERROR", EngineConflictError),
        ("NO_NETWORK", EngineConflictError),
    ],
)
def test_each_number(name: str, expected: type[ProaError]):
    made = translate(error(getattr(libvirt, f"VIR_ERR_{name}")), alive=True, id="some-id")
    assert type(made) is expected
    assert ("some-id" if expected is ResourceNotFoundError else "its own words") in made.message


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.ENOMEM])
def test_no_room(number: int):
    made = translate(error(libvirt.VIR_ERR_SYSTEM_ERROR, int1=number), alive=True)
    assert isinstance(made, HostExhaustedError)


def test_another_system_error():
    made = translate(error(libvirt.VIR_ERR_SYSTEM_ERROR, int1=errno.EACCES), alive=True)
    assert isinstance(made, EngineConflictError)
    assert made.retry_after is None


@pytest.mark.parametrize("name", ["OPERATION_TIMEOUT", "RESOURCE_BUSY"])
def test_what_a_retry_helps(name: str):
    made = translate(error(getattr(libvirt, f"VIR_ERR_{name}")), alive=True)
    assert made.retry_after == timedelta(seconds=2)


def test_on_a_dead_connection_nothing_else_counts():
    made = translate(error(libvirt.VIR_ERR_NO_DOMAIN), alive=False, id="some-id")
    assert isinstance(made, EngineUnreachableError)


def test_an_error_without_a_number():
    made = translate(libvirt.libvirtError("virDomainFoo() failed"), alive=True)
    assert isinstance(made, EngineConflictError)
    assert made.metadata["engine_message"] == "virDomainFoo() failed"
