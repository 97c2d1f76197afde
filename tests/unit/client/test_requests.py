"""Whoever calls with something else than the request is told so, and nothing is sent."""

import re
import tomllib
from pathlib import Path
from typing import Any, cast

import pytest

import proa
from proa import contract, v1

ROOT = Path(__file__).parents[3]

WRONG = ["web", None, {"id": "web"}, v1.ListVolumesRequest(pool="web"), 1]


def stubs(client):
    """All RPCs of the contract, as a client has them."""
    services = {type(stub).__name__: stub for stub in vars(client).values()}
    for method in contract.methods():
        yield method, getattr(services[f"{method.containing_service.name}Stub"], method.name)


def told(method, wrong):
    field = next(iter(method.input_type.fields), None)
    each = "an iterable of " if method.client_streaming else ""
    example = f"{each}v1.{method.name}Request({f'{field.name}=…' if field else ''})"
    return f"{method.name} takes {example}, not {type(wrong).__name__}"


def test_call_with_something_else_than_its_request_raises_type_error(serve, small_daemon):
    with serve() as target, proa.connect(target, token="ours") as client:
        resources: Any = client.resources
        tried = 0
        for method, call in stubs(client):
            for wrong in WRONG:
                if type(wrong).__name__ == method.input_type.name and not method.client_streaming:
                    continue
                # A stream may tell when it is read.
                with pytest.raises(TypeError, match=f"^{re.escape(told(method, wrong))}$"):
                    next(iter(call(wrong)))
                tried += 1
        assert tried > 5 * 30
        with pytest.raises(TypeError, match="GetResource takes"):
            resources.GetResource.future("web").result()
        with pytest.raises(TypeError, match="GetResource takes"):
            resources.GetResource.with_call("web")
    assert not small_daemon.calls


async def test_aio_call_with_something_else_than_its_request_raises_type_error(
    aio_target, aio_daemon
):
    async with proa.aio.connect(aio_target, token="ours") as client:
        for method, call in stubs(client):
            made = anext(aiter(call("web"))) if method.server_streaming else call("web")
            with pytest.raises(TypeError, match=re.escape(told(method, "web"))):
                await made
    assert not aio_daemon.calls


@pytest.mark.parametrize("wrong", WRONG)
def test_stream_with_something_else_among_its_requests_raises_type_error(
    serve, small_daemon, wrong
):
    with serve() as target, proa.connect(target, token="ours") as client:
        exec: Any = client.console.Exec
        with pytest.raises(TypeError, match=f"not {type(wrong).__name__}$"):
            next(exec([wrong]))


@pytest.mark.parametrize("wrong", WRONG)
async def test_aio_stream_with_something_else_among_its_requests_raises_type_error(
    aio_target, wrong
):
    async with proa.aio.connect(aio_target, token="ours") as client:
        exec: Any = client.console.Exec
        with pytest.raises(TypeError, match=f"not {type(wrong).__name__}$"):
            await anext(aiter(exec([wrong])))


def test_type_error_of_a_password_in_place_of_the_request_hides_it(serve):
    with serve() as target, proa.connect(target) as client:
        create_token: Any = client.auth.CreateToken
        with pytest.raises(TypeError) as caught:
            create_token("correct horse")
        assert "correct horse" not in str(caught.value)


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.resources.GetResource(id="web"),
        lambda client: client.resources.GetResource("a", "b"),
        lambda _: cast("Any", v1.GetResourceRequest)("web"),
        lambda client: next(client.list_resources("web")),
        lambda client: next(client.watch("web")),
        lambda client: client.wait("web", "running"),
        lambda client: client.wait(1, removed=True),
        lambda client: client.exec("web", "ls -l"),
        lambda client: client.run_command("web", "ls -l"),
    ],
)
def test_other_wrong_arguments_raise_type_error(serve, small_daemon, call):
    with serve() as target, proa.connect(target, token="ours") as client, pytest.raises(TypeError):
        call(client)
    assert not small_daemon.calls


def test_version_is_that_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert proa.__version__ == project["version"]
