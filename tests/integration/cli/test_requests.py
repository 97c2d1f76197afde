"""`proa requests`: what became of the calls that carried a request id, and how to end one."""

import threading
from uuid import uuid4

import pytest

import proa
from eventually import wait_until
from proa import v1
from proa.cli.exits import Exit


@pytest.fixture
def client(ann, daemon, token):
    """A client of the user whose requests the commands show."""
    with proa.connect(daemon, token=token) as client:
        yield client


@pytest.fixture
def container(ann, name):
    ann.ok(
        "run", "--name", name, "--label", "proa.memory/ignores-stop=true", "debian:12", "sleep", "9"
    )
    yield name
    ann.ok("rm", "--force", "--missing-ok", name)


def test_requests_of_a_call_show_its_end(ann, client, container):
    id = str(uuid4())
    client.resources.PauseResource(v1.PauseResourceRequest(id=container, request_id=id))
    heading, *rows = ann.ok("requests").splitlines()
    assert heading.split() == ["REQUEST", "ID", "CALL", "STATE", "BEGAN", "RESOURCE", "REASON"]
    (row,) = [row.split() for row in rows if row.startswith(id)]
    assert row[1:3] == ["PauseResource", "succeeded"]


def test_requests_by_state_leave_out_the_others(ann, client, container):
    done, failed = str(uuid4()), str(uuid4())
    client.resources.PauseResource(v1.PauseResourceRequest(id=container, request_id=done))
    stop = v1.StopResourceRequest(id=container, mode=v1.STOP_MODE_GRACEFUL, request_id=failed)
    stop.grace_period.FromMilliseconds(1)
    with pytest.raises(proa.Error):
        client.resources.StopResource(stop)
    shown = {each["request_id"]: each for each in ann.json("requests", "ls", "--state", "failed")}
    assert failed in shown
    assert done not in shown
    assert shown[failed]["failure"]["reason"] == "ERROR_REASON_STOP_TIMED_OUT"
    assert "stop-timed-out" in ann.ok("requests", "ls", "--state", "failed")
    assert "code: 4" in ann.ok("requests", "show", failed)


def test_requests_cancel_of_a_graceful_stop_ends_it(ann, client, container):
    id, ended = str(uuid4()), []
    stop = v1.StopResourceRequest(id=container, mode=v1.STOP_MODE_GRACEFUL, request_id=id)
    stop.grace_period.FromSeconds(600)

    def call():
        try:
            client.resources.StopResource(stop)
        except proa.Error as error:
            ended.append(error.reason)

    caller = threading.Thread(target=call)
    caller.start()
    wait_until(lambda: "activity" in ann.json("get", container))
    assert ann.ok("requests", "cancel", id).split() == [id, "failed"]
    caller.join(60)
    assert ended == ["REQUEST_CANCELLED"]


def test_requests_of_an_unknown_id_are_not_found(ann):
    told = ann.fails(Exit.NOT_FOUND, "requests", "show", str(uuid4()))
    assert "REQUEST_NOT_FOUND" in told
    assert "REQUEST_NOT_FOUND" in ann.fails(Exit.NOT_FOUND, "requests", "cancel", str(uuid4()))
