import errno
from datetime import timedelta

import libvirt
import pytest

from proad.drivers.libvirt.errors import code_of, seek, translate
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
        ("CONFIG_UNSUPPORTED", CapabilityMissingError),
        ("OPERATION_UNSUPPORTED", CapabilityMissingError),
        ("ARGUMENT_UNSUPPORTED", CapabilityMissingError),
        ("CPU_INCOMPATIBLE", CapabilityMissingError),
        ("NO_CONNECT", EngineUnreachableError),
        ("INVALID_CONN", EngineUnreachableError),
        ("NO_MEMORY", HostExhaustedError),
        ("OPERATION_INVALID", EngineConflictError),
        ("INTERNAL_ERROR", EngineConflictError),
        ("NO_NETWORK", EngineConflictError),
    ],
)
def test_translate_of_a_code_returns_its_error(name: str, expected: type[ProaError]):
    made = translate(error(getattr(libvirt, f"VIR_ERR_{name}")), alive=True, id="some-id")
    assert type(made) is expected
    assert ("some-id" if expected is ResourceNotFoundError else "its own words") in made.message


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.ENOMEM])
def test_translate_without_room_is_host_exhausted(number: int):
    made = translate(error(libvirt.VIR_ERR_SYSTEM_ERROR, int1=number), alive=True)
    assert isinstance(made, HostExhaustedError)


def test_translate_of_another_system_error_is_a_conflict():
    made = translate(error(libvirt.VIR_ERR_SYSTEM_ERROR, int1=errno.EACCES), alive=True)
    assert isinstance(made, EngineConflictError)
    assert made.retry_after is None


@pytest.mark.parametrize(
    ("name", "retry_after"),
    [
        ("OPERATION_TIMEOUT", timedelta(seconds=2)),
        # A disk or a device that somebody has stays theirs.
        ("RESOURCE_BUSY", None),
    ],
)
def test_translate_busy_tells_whether_retry_helps(name: str, retry_after: timedelta | None):
    made = translate(error(getattr(libvirt, f"VIR_ERR_{name}")), alive=True)
    assert made.retry_after == retry_after


def test_translate_on_a_dead_connection_is_unreachable():
    made = translate(error(libvirt.VIR_ERR_NO_DOMAIN), alive=False, id="some-id")
    assert isinstance(made, EngineUnreachableError)


def test_translate_without_a_code_is_a_conflict():
    made = translate(libvirt.libvirtError("virDomainFoo() failed"), alive=True)
    assert isinstance(made, EngineConflictError)
    assert made.metadata["engine_message"] == "virDomainFoo() failed"


class TestSeek:
    """The lost reason is played: when Python collects is not for a test to say."""

    @staticmethod
    def lost() -> libvirt.libvirtError:
        error = libvirt.libvirtError("failed")
        error.err = None
        return error

    @pytest.mark.parametrize("times", [1, 3])
    def test_lost_reason_is_read_again(self, times: int):
        answers = [self.lost()] * times

        def look(name: str) -> str:
            if answers:
                raise answers.pop()
            return name

        assert seek(look, "web") == "web"

    def test_a_reason_that_is_there_is_given_at_once(self):
        connection = libvirt.open("test:///default")
        asked = []

        def look(name: str) -> libvirt.virDomain:
            asked.append(name)
            return connection.lookupByName(name)

        with pytest.raises(libvirt.libvirtError) as caught:
            seek(look, "none")
        assert code_of(caught.value) == libvirt.VIR_ERR_NO_DOMAIN
        assert asked == ["none"]
        connection.close()

    def test_one_that_stays_lost_is_an_error(self):
        def look() -> None:
            raise self.lost()

        with pytest.raises(libvirt.libvirtError):
            seek(look)
