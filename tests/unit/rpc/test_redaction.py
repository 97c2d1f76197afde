"""What callers without the scope `advanced` do not read, by the options of the contract."""

import pytest

from proa import v1
from proad.config.secret_patterns import SECRET_PATTERNS
from proad.model.scope import Scope
from proad.rpc.methods import methods
from proad.rpc.redaction import Redactor

CANARY = "canary-4711"
SECRET_LINES = [
    ["serve", "--password=hunter2"],
    ["serve", "--password", "hunter2"],
    ["env", "TOKEN=hunter2", "serve"],
    ["sh", "-c", "exec serve --api-key hunter2"],
    ["sh", "-c", "PGPASSWORD=hunter2 psql"],
    ["curl", "-H", "Authorization: Basic aHVudGVyMg=="],
    ["curl", "https://user:hunter2@registry.example/v2/"],
    ["serve", "--db-pass=hunter2"],
    ["serve", "x" * 2**14],
]
PLAIN_LINES = [
    ["sleep", "3600"],
    ["nginx", "-g", "daemon off;"],
    ["sh", "-c", "cd /srv/passengers && exec serve --port=80"],
    ["curl", "https://registry.example:5000/v2/"],
    ["keyboard-layout", "--keys=de"],
]


@pytest.fixture
def redactor():
    return Redactor(SECRET_PATTERNS)


@pytest.mark.parametrize("line", SECRET_LINES, ids=lambda line: " ".join(line)[:40])
def test_redact_command_line_with_a_secret_leaves_it_out(redactor, line):
    container = v1.Container(
        command=line, spec=v1.ContainerSpec(command=line, health_check=v1.HealthCheck(command=line))
    )
    resource = v1.Resource(container=container)

    assert redactor.redact(resource)

    expected = v1.Container(spec=v1.ContainerSpec(health_check=v1.HealthCheck()))
    assert resource == v1.Resource(container=expected, redacted=True)


@pytest.mark.parametrize("line", PLAIN_LINES, ids=lambda line: " ".join(line)[:40])
def test_redact_plain_command_line_leaves_it_alone(redactor, line):
    image = v1.Image(entrypoint=line, command=line)

    assert not redactor.redact(image)

    assert image == v1.Image(entrypoint=line, command=line)


def test_redact_health_check_in_a_shell_leaves_out_what_carries_a_secret(redactor):
    check = v1.HealthCheck(shell_command=f"curl -u u:x --oauth-token={CANARY} localhost", retries=3)

    redactor.redact(check)

    assert check == v1.HealthCheck(retries=3)


def test_redact_without_patterns_leaves_command_lines_alone():
    image = v1.Image(command=["serve", "--password=hunter2"])

    assert not Redactor([]).redact(image)


def test_redact_command_with_a_pattern_of_the_operator_leaves_it_out():
    image = v1.Image(command=["serve", "--pin=1234"])

    assert Redactor([r"--pin="]).redact(image)
    assert image == v1.Image(redacted=True)


def test_redact_environment_keeps_its_keys(redactor):
    image = v1.Image(env={"A": CANARY, "B": ""})

    assert redactor.redact(image)

    assert image == v1.Image(env={"A": "", "B": ""}, redacted=True)


def test_redact_environment_without_values_is_no_redaction(redactor):
    image = v1.Image(env={"A": ""})

    assert not redactor.redact(image)
    assert not image.redacted


def test_redact_medium_keeps_which_source_it_has(redactor):
    spec = v1.DomainSpec(cdroms=[v1.CdromSpec(path=f"/srv/{CANARY}.iso")])

    assert redactor.redact(spec)

    assert spec.cdroms[0].WhichOneof("source") == "path"
    assert CANARY not in str(spec)


def test_redact_leaves_out_paths_of_the_host_and_what_engines_say(redactor):
    container = v1.Container(
        mounts=[v1.Mount(target="/data", bind=v1.BindMount(source=f"/srv/{CANARY}"))],
        spec=v1.ContainerSpec(
            devices=[v1.Device(host_path=f"/dev/{CANARY}", container_path="/dev/x")],
            log_options={"splunk-token": CANARY},
        ),
    )
    resource = v1.Resource(
        state_detail=v1.StateDetail(message=f"mounting /srv/{CANARY}", exit_code=1),
        container=container,
    )
    domain = v1.Resource(domain=v1.Domain(disks=[v1.Disk(target="vda", path=f"/srv/{CANARY}")]))
    volume = v1.Volume(pool="default", path=f"/srv/{CANARY}", base_path=f"/srv/{CANARY}")

    for message in (resource, domain, volume):
        assert redactor.redact(message)
        assert CANARY not in str(message)
    assert resource.state_detail == v1.StateDetail(exit_code=1)
    assert resource.container.mounts[0].target == "/data"
    assert list(resource.container.spec.log_options) == ["splunk-token"]
    assert domain.domain.disks[0].target == "vda"


def test_redact_message_without_anything_to_redact_sets_no_flag(redactor):
    resource = v1.Resource(name="web", container=v1.Container(image="debian:12"))

    assert not redactor.redact(resource)
    assert not resource.redacted


def _marked(descriptor, seen):
    """Yield the fields below a message that are marked; of those directly in it, no secret."""
    for field in descriptor.fields:
        options = field.GetOptions().Extensions
        if options[v1.redaction] or (options[v1.secret] and seen):
            yield field.full_name
        inner = field.message_type
        if inner is not None and inner.full_name not in seen:
            yield from _marked(inner, {*seen, inner.full_name})


@pytest.mark.parametrize(
    "method", [m for m in methods().values() if m.changes], ids=lambda m: m.path
)
def test_changing_method_with_an_answer_to_redact_needs_advanced(method):
    """Only reads are redacted: what a change answers is meant for its caller."""
    if list(_marked(method.response.DESCRIPTOR, set())):
        assert Scope.ADVANCED in method.access.scopes


SECRET_NAMES = ("password", "secret", "token", "ticket", "credential", "private_key")
# They name a position, a container, or a token by its id.
NO_SECRETS = {"page_token", "next_page_token", "resume_token", "secrets_from", "token_id"}


@pytest.mark.parametrize(
    "name", sorted(n for n in v1.__all__ if hasattr(getattr(v1, n), "DESCRIPTOR"))
)
def test_field_that_sounds_like_a_secret_is_marked_as_one(name):
    descriptor = getattr(v1, name).DESCRIPTOR
    for field in getattr(descriptor, "fields", ()):
        sounds = any(word in field.name for word in SECRET_NAMES) and field.name not in NO_SECRETS
        if sounds and field.type == field.TYPE_STRING:
            assert field.GetOptions().Extensions[v1.secret], field.full_name


@pytest.mark.parametrize("method", list(methods().values()), ids=lambda m: m.path)
def test_method_whose_answer_is_a_secret_has_no_journal(method):
    """A stored answer holds no secret: a repetition would get nothing.

    A command's exit is worth as much without its output, whose length the answer tells.
    """
    if any(f.GetOptions().Extensions[v1.secret] for f in method.response.DESCRIPTOR.fields):
        assert not method.journalled or method.request is v1.RunCommandRequest
