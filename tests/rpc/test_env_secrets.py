"""Environment variables whose values are given at a create and never shown."""

from dataclasses import asdict

import pytest
from google.protobuf.json_format import MessageToJson

from proa import v1
from rpc.daemon import BOTH, IMAGE, RPCS, refusal

CANARY = "canary-1138"
REDACTED = v1.EnvSecret(redacted=True)


@pytest.fixture
async def web(daemon):
    """A daemon with a container whose PASSWORD is a secret."""
    await daemon.container("web", env={"A": "1"}, env_secret={"PASSWORD": {"value": CANARY}})
    return daemon


async def values(daemon, name):
    """Return the secrets that a container has."""
    resource = (await daemon.call("GetResource", id=name)).resource
    return dict(await daemon.driver.env_secrets(resource.id))


async def test_env_secret_is_shown_redacted_to_everybody(web):
    for scopes in (BOTH, BOTH[:1]):
        rpc = RPCS["GetResource"]
        answer = await web.send(rpc, rpc.request(id="web"), token=web.token(*scopes))

        container = answer.resource.container
        assert dict(container.spec.env_secret) == {"PASSWORD": REDACTED}
        assert container.env["PASSWORD"] == ""
        assert "PASSWORD" not in container.spec.env
        assert CANARY not in MessageToJson(answer)
    assert await values(web, "web") == {"PASSWORD": CANARY}


async def test_create_answers_without_the_value(daemon):
    spec = {"image": IMAGE, "env_secret": {"PASSWORD": {"value": CANARY}}}

    answer = await daemon.call("CreateContainer", spec=spec)

    assert CANARY not in str(answer)


async def test_create_with_a_redacted_secret_takes_it_from_a_container(web):
    shown = (await web.call("GetResource", id="web")).resource.container.spec
    shown.name = "copy"

    await web.call("CreateContainer", spec=shown, secrets_from="web")

    assert await values(web, "copy") == {"PASSWORD": CANARY}


@pytest.mark.parametrize("validate_only", [False, True])
async def test_create_with_a_redacted_secret_from_nowhere_is_refused(web, validate_only):
    spec = {"image": IMAGE, "name": "copy", "env_secret": {"PASSWORD": {"redacted": True}}}

    refused = await refusal(web.call("CreateContainer", spec=spec, validate_only=validate_only))

    assert (refused.reason, refused.fields) == ("INVALID_ARGUMENT", ["secrets_from"])
    assert await web.names() == ["web"]


@pytest.mark.parametrize(
    ("secret", "source", "reason"),
    [
        ("OTHER", "web", "INVALID_ARGUMENT"),
        ("A", "web", "INVALID_ARGUMENT"),  # it is in env, and no secret
        ("PASSWORD", "nobody", "RESOURCE_NOT_FOUND"),
        ("PASSWORD", "vm", "INVALID_ARGUMENT"),
    ],
)
async def test_create_with_a_secret_that_the_source_lacks_is_refused(web, secret, source, reason):
    await web.domain("vm")
    spec = {"image": IMAGE, "name": "copy", "env_secret": {secret: {"redacted": True}}}

    refused = await refusal(web.call("CreateContainer", spec=spec, secrets_from=source))

    assert refused.reason == reason
    assert await web.names() == ["vm", "web"]


async def test_recreate_keeps_secrets(web):
    await web.call(
        "RecreateContainer", id="web", spec={"env": {"A": "2"}}, update_mask={"paths": ["env"]}
    )

    assert await values(web, "web") == {"PASSWORD": CANARY}
    spec = (await web.call("GetResource", id="web")).resource.container.spec
    assert dict(spec.env_secret) == {"PASSWORD": REDACTED}


async def test_recreate_with_other_secrets_keeps_those_that_are_redacted(web):
    spec = {"env_secret": {"PASSWORD": {"redacted": True}, "TOKEN": {"value": "new"}}}

    await web.call("RecreateContainer", id="web", spec=spec, update_mask={"paths": ["env_secret"]})

    assert await values(web, "web") == {"PASSWORD": CANARY, "TOKEN": "new"}


async def test_recreate_without_secrets_drops_them(web):
    await web.call("RecreateContainer", id="web", update_mask={"paths": ["env_secret"]})

    assert await values(web, "web") == {}


@pytest.mark.parametrize(
    "spec",
    [
        {"env": {"A": "1"}, "env_secret": {"A": {"value": "2"}}},
        {"env_unset": ["A"], "env_secret": {"A": {"value": "2"}}},
        {"env_secret": {"A": {"value": "2", "redacted": True}}},
        {"env_secret": {"A=B": {"value": "2"}}},
        {"env_secret": {"": {"value": "2"}}},
        {"env_secret": {"A": {"value": "2\0"}}},
        {"env_secret": {"A": {"value": "x" * 65537}}},
        {"env_secret": {f"A{n}": {} for n in range(1001)}},
    ],
    ids=["env", "unset", "both", "equals", "nameless", "nul", "long", "many"],
)
async def test_create_with_wrong_secrets_is_refused(daemon, spec):
    refused = await refusal(daemon.call("CreateContainer", spec={"image": IMAGE, **spec}))

    assert refused.reason == "INVALID_ARGUMENT"
    assert await daemon.names() == []


async def test_repetition_of_a_create_answers_without_the_value(daemon, new_id):
    spec = {"image": IMAGE, "name": "web", "env_secret": {"PASSWORD": {"value": CANARY}}}
    request = {"spec": spec, "request_id": new_id}
    first = (await daemon.call("CreateContainer", **request)).resource

    again = (await daemon.call("CreateContainer", **request)).resource

    assert again.id == first.id
    assert CANARY not in str(again)


async def test_specification_does_not_show_secrets_when_printed(web):
    resource = (await web.call("GetResource", id="web")).resource
    full = await web.driver.get_resource(resource.id)

    assert CANARY not in str(asdict(full))
    assert "PASSWORD" in repr(full)
