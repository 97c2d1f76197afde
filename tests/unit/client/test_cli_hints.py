"""What to do after a failure, told in commands that can be typed and destroy nothing."""

from datetime import timedelta

import grpc
import pytest
import typer

import proa
from proa import contract, v1
from proa.cli.hint_rules import RULES
from proa.cli.hints import hint_for
from proa.cli.wording import COMMANDS_BY_RPC, in_cli_words, option_of
from proa.errors import Details, Violation
from unit.client.test_cli_hostile import COMMANDS
from unit.client.typing_commands import parse, typed
from unit.errors.test_advice import MODULES, OTHERS, RPC, texts

REASONS = {
    value.name.removeprefix("ERROR_REASON_") for value in v1.ErrorReason.DESCRIPTOR.values
} - {"UNSPECIFIED"}
EACH = [
    *((*command.split(), *arguments) for command, arguments in COMMANDS.items()),
    ("rm", "--force", "x"),
    ("stop", "x", "y"),
    ("start", "x", "--from-snapshot", "s"),
    ("run", "--pull", "never", "--name", "n", "img"),
    ("start", "my vm"),
    ("pause", "--", "-x-"),
    ("pause", "{}{name}"),
    ("ls", "--all"),
    ("host",),
    ("rm", "-f", "--snapshots", "--saved-state", "x"),
]
# What ends or deletes something, and the commands that do so anyway.
DESTRUCTIVE = {"rm", "rmi", "prune", "snapshot rm", "snapshot revert", "volumes rm"}
OPTIONS = {"force", "snapshots", "saved_state", "discard_saved", "children"}


def error(reason="", kind=proa.Error, code=grpc.StatusCode.FAILED_PRECONDITION, **fields):
    return kind(code, Details("what happened", reason, **fields))


def hint(reason, *argv, **fields):
    return hint_for(error(reason, **fields), typed(*argv)).text


def hinted(reason, argv):
    told = {"candidates": "container/x,domain/x", "setting": "s", "registry": "r.test"}
    for metadata in ({}, told, {"state": "PAUSED"}):
        for violations in ((), (Violation("spec.name", "is empty"),)):
            found = hint_for(error(reason, metadata=metadata, violations=violations), typed(*argv))
            yield from found.commands


def destroys(argv):
    ctx = parse(argv)
    command = typed(*argv).command
    return {command} & DESTRUCTIVE | {name for name in OPTIONS if ctx.params.get(name)}


def test_hints_cover_exactly_the_reasons_of_the_contract():
    assert set(RULES) == REASONS


@pytest.mark.parametrize("reason", sorted(REASONS))
def test_hint_commands_are_valid_harmless_and_not_the_failed_one(reason):
    for argv in EACH:
        verb = typed(*argv).command
        for command in hinted(reason, argv):
            if command[-1] == "--help":
                with pytest.raises(typer.Exit):
                    parse(command)
                continue
            parse(command)
            assert command != argv
            assert "ID" not in command
            asked = typed(*command).command == verb or (verb == "start" and "s" in argv)
            assert asked or not destroys(command), (reason, argv, command)


@pytest.mark.parametrize("reason", sorted(REASONS))
def test_hint_names_no_field_and_no_rpc(reason):
    calls = {method.name for method in contract.methods()}
    fields = {"delete_snapshots", "delete_saved_state", "discard_saved_state", "grace_period"}
    for argv in EACH:
        words = set(hint(reason, *argv).replace("{}", "").split())
        assert not words & (calls | fields | {"force", "ID"})


@pytest.mark.parametrize(
    ("reason", "argv", "said"),
    [
        ("RESOURCE_RUNNING", "rename web new", "proa stop web stops it first"),
        (
            "RESOURCE_RUNNING",
            "rm web",
            "proa stop web stops it first; proa rm --force web ends it at once and deletes it",
        ),
        ("HAS_SNAPSHOTS", "rm -f web", "proa rm --force --snapshots web deletes them too"),
        ("HAS_SAVED_STATE", "rename web new", "proa start web goes on from it"),
        (
            "RESOURCE_ALREADY_RUNNING",
            "start web --from-snapshot before",
            "proa snapshot revert web before takes it back while it runs",
        ),
        ("RESOURCE_ALREADY_RUNNING", "start web", "proa get web shows how it is now"),
        (
            "RESOURCE_NOT_RUNNING",
            "stop web",
            "there is nothing to stop; proa get web shows how it is now",
        ),
        ("RESOURCE_NOT_RUNNING", "pause web", "proa start web starts it"),
        ("SNAPSHOT_NOT_FOUND", "snapshot revert web s", "proa snapshot ls web shows what there is"),
        ("SNAPSHOT_NOT_FOUND", "snapshot rm web s", "proa snapshot ls web shows what there is"),
        ("IMAGE_NOT_FOUND", "run --pull never img", "proa pull img fetches it"),
        (
            "IMAGE_NOT_FOUND",
            "pull img",
            "look in its registry how name and tag are spelt",
        ),
        ("ENGINE_TIMED_OUT", "run img", "proa ls --all shows what became of it"),
        ("ENGINE_TIMED_OUT", "run --name web img", "proa get web shows what became of it"),
        ("ALREADY_EXISTS", "rename web new", "proa get new shows the one that has the name"),
        ("IN_USE", "run -p 80:80 img", "proa ls shows what runs, with its ports"),
        ("IN_USE", "rmi img", "proa ls --all shows the containers, with their images"),
        ("IN_USE", "volumes rm v", "proa ls --all --kind vm shows the machines"),
        ("REGISTRY_DENIED", "pull img", "proa registry login logs you in there"),
    ],
)
def test_hint_after_a_command_fits_it(reason, argv, said):
    assert hint(reason, *argv.split()) == said


def test_hint_with_a_name_quotes_it_for_the_shell():
    assert hint("RESOURCE_RUNNING", "rename", "my vm", "x") == "proa stop 'my vm' stops it first"
    assert hint("ILLEGAL_STATE", "pause", "{name}") == "proa get '{name}' shows how it is now"
    assert hint("ILLEGAL_STATE", "pause", "--", "-x") == "proa get -- -x shows how it is now"


def test_hint_contains_the_values_of_the_error():
    told = {"candidates": "local/container/web,local/domain/web"}
    said = "write one of these in its place: local/container/web, local/domain/web"
    assert hint("AMBIGUOUS_ID", "get", "web", metadata=told) == said
    told = {"candidates": "local/domain/win 11,local/domain/$(reboot)"}
    said = "write one of these in its place: 'local/domain/win 11', 'local/domain/$(reboot)'"
    assert hint("AMBIGUOUS_ID", "get", "w", metadata=told) == said
    denied = {"setting": "bind_roots", "profile": "low"}
    assert hint("POLICY_DENIED", "run", "img", metadata=denied) == (
        "who runs the daemon may allow it: bind_roots in [policy.profiles.low], and in [policy], "
        "which bounds the profiles"
    )
    assert hint("POLICY_DENIED", "run", "img", metadata=denied | {"setting": ""}) == ""
    several = denied | {"settings": "bind_roots,allowed_devices"}
    assert "bind_roots, allowed_devices in" in hint("POLICY_DENIED", "run", "img", metadata=several)
    assert hint("POLICY_DENIED", "run", "img", metadata=denied | {"settings": ""}) == ""
    said = "proa resume web lets it go on"
    assert hint("ILLEGAL_STATE", "restart", "web", metadata={"state": "PAUSED"}) == said


def test_hint_about_scopes_names_the_service_key_that_counts(monkeypatch):
    assert hint("SCOPE_MISSING", "ls") == "proa login USERNAME asks for all that you have"
    monkeypatch.setenv("PROA_SERVICE_KEY_FILE", "key")
    assert "which has its own scopes" in hint("SCOPE_MISSING", "ls")


@pytest.mark.parametrize("argv", ["vm create new -m 1G", "vm create --xml f"])
def test_hint_about_a_used_uuid_names_its_domain(argv):
    taken = {"domain": "abcd", "existing_id": "abcd"}
    assert hint("ALREADY_EXISTS", *argv.split(), metadata=taken) == (
        "proa get abcd shows the one that has it"
    )


def test_hint_about_a_used_name_in_xml_names_its_domain():
    taken = {"domain": "web", "existing_id": "abcd"}
    assert hint("ALREADY_EXISTS", "vm", "create", "--xml", "f", metadata=taken) == (
        "proa get abcd shows the one that has the name"
    )


@pytest.mark.parametrize(
    ("argv", "field", "option"),
    [
        ("run img", "spec.resources.memory_bytes", "--memory"),
        ("run img", "spec.ports[0].host_port", "--publish"),
        ("vm create v -m 1G", "spec.vcpus", "--vcpus"),
        ("vm create v -m 1G", "spec.disks[1].new_volume.capacity_bytes", "--disk"),
        ("stop web", "grace_period", "--grace"),
        ("ls", "order_by", "--sort"),
        ("run img nosuch", "spec.command[0]", "CMD"),
        ("run img", "spec.image", "IMAGE"),
        ("vm create v -m 1G", "spec.name", "NAME"),
        ("volumes create v", "spec.name", "POOL/NAME"),
        ("rename web x", "domain.name", "NAME"),
        ("run img", "spec.ulimits[1].name", "--ulimit"),
        ("run img", "spec.mounts[0].volume.name", "--volume"),
        ("run img", "spec.mounts[0].read_only", "--volume"),
        ("run --tmpfs /x img", "spec.mounts[0].target", "--tmpfs"),
        ("run --mount target=/x img", "spec.mounts[0].volume.name", "--mount"),
        ("run img", "spec.health_check.interval", "--health-interval"),
        ("update web", "container.restart_policy", "--restart"),
        ("update web", "container.restart_policy.max_retries", "--restart"),
        ("volumes create v", "spec.base.format", "--base-format"),
    ],
)
def test_hint_about_an_invalid_field_names_its_option(argv, field, option):
    command = typed(*argv.split()).command
    said = hint("INVALID_ARGUMENT", *argv.split(), violations=(Violation(field, "is wrong"),))
    assert said == f"that is {option}; proa {command} --help tells what it takes"


def fields_of(message, above=""):
    for field in message.fields:
        inner = field.message_type
        is_map = inner is not None and inner.GetOptions().map_entry
        path = f"{above}{field.name}" + ("[0]" if field.is_repeated and not is_map else "")
        yield path
        if inner is not None and not is_map and inner.file.package == "proa.v1":
            yield from fields_of(inner, f"{path}.")


@pytest.mark.parametrize(
    ("argv", "message", "without"),
    [
        ("run img", v1.ContainerSpec, {"resources"}),
        ("vm create v -m 1G", v1.DomainSpec, set()),
        ("volumes create v", v1.VolumeSpec, set()),
        ("rm web", v1.DeleteResourceRequest, {"id"}),
        ("start web", v1.StartResourceRequest, {"id"}),
        ("stop web", v1.StopResourceRequest, {"id"}),
    ],
)
def test_option_of_each_field_that_a_command_sets_exists(argv, message, without):
    command = typed(*argv.split())
    found = {path: option_of(f"spec.{path}", command) for path in fields_of(message.DESCRIPTOR)}
    assert {path for path, option in found.items() if not option} == without
    for path, option in found.items():
        item, inside, rest = path.partition("].")
        assert not inside or rest.startswith("tmpfs") or option == found[f"{item}]"], path


def test_hint_about_a_token_in_the_environment_is_not_for_a_login(monkeypatch):
    assert hint("TOKEN_EXPIRED", "ls") == "proa login USERNAME logs you in"
    monkeypatch.setenv("PROA_TOKEN", "x")
    assert "unset it and log in with proa login USERNAME" in hint("TOKEN_EXPIRED", "ls")


def test_hint_for_an_error_without_reason_names_the_daemon():
    unreachable = error(kind=proa.Unavailable, code=grpc.StatusCode.UNAVAILABLE)
    said = hint_for(unreachable, typed("ls", target="host:50051")).text
    assert said == "is proad running at host:50051? choose another with --target or PROA_TARGET"
    old = error(kind=proa.Unimplemented, code=grpc.StatusCode.UNIMPLEMENTED)
    assert "proa version" in hint_for(old, typed("ls")).text


@pytest.mark.parametrize(
    ("argv", "told", "said"),
    [
        ("rm web", "stop it first, or set force", "stop it first, or use --force"),
        ("files rm web /a", "not empty; set recursive to", "not empty; use --recursive to"),
        ("rm web", "not empty; set recursive to", "not empty; set recursive to"),
        ("rename web x", "stop it first, or set force", "stop it first, or set force"),
        ("cp a web:/a", "set overwrite to put", "leave out --no-overwrite to put"),
        (
            "rm web",
            "'set force' has them; set delete_snapshots",
            "'set force' has them; set --snapshots",
        ),
        ("start web", "start with discard_saved_state", "start with --discard-saved"),
        ("start web", "and RevertSnapshot takes it", "and proa snapshot revert takes it"),
        ("pull img", "use LoginRegistry first", "use proa registry login first"),
        ("ls", "get one from AuthService/CreateToken and", "get one from proa login and"),
        (
            "ls",
            "get one from AuthService/CreateToken and send it as 'authorization: Bearer TOKEN'",
            "get one from proa login",
        ),
        (
            "rm web",
            "UpdateResource with the mask deletion_protection takes it off",
            "proa update takes it off",
        ),
        ("run img", "spec.resources.memory_bytes: is 1", "--memory: is 1"),
        ("run img", "spec.ports[0].host_port: is taken", "--publish: is taken"),
        ("run img", "spec.hostname: is wrong", "--hostname: is wrong"),
        ("run img", "see /etc/some_file.conf and ERROR", "see /etc/some_file.conf and ERROR"),
        ("run img", "none: /srv/web.name; make it", "none: /srv/web.name; make it"),
        ("run img", "open /x/memory.max: gone", "open /x/memory.max: gone"),
        ("run img", "no memory.max, no log_driver.d", "no memory.max, no log_driver.d"),
        ("pull img", "the registry my.image: silent", "the registry my.image: silent"),
        (
            "run img",
            "spec.allow_new_privileges: denied (setting allow_new_privileges)",
            "--allow-new-privileges: denied (setting allow_new_privileges)",
        ),
        (
            "exec -it web sh",
            "leave start.tty and start.stdin out, or give the input to RunCommand; try `command.argv`",
            "leave --tty and --interactive out; try `CMD`",
        ),
        ("exec web start.sh", "no start.sh in there", "no start.sh in there"),
        ("run img", "the quota of memory_bytes is 1", "the quota of memory_bytes is 1"),
    ],
)
def test_in_cli_words_replaces_fields_and_rpcs(argv, told, said):
    assert in_cli_words(told, typed(*argv.split())) == said


def test_in_cli_words_replaces_each_rpc_that_messages_name():
    told = {call for path in MODULES for text in texts(path) for call in RPC.findall(text)}
    assert "PullImage" in told
    assert told - OTHERS <= COMMANDS_BY_RPC.keys()


def test_in_cli_words_names_existing_commands_alone():
    for call, command in COMMANDS_BY_RPC.items():
        assert call in {method.name for method in contract.methods()}
        words = command.removeprefix("proa ").split()
        with pytest.raises(typer.Exit):
            parse([*words, "--help"])


def test_hint_about_a_guest_without_its_agent_is_to_wait_for_it():
    lacking = {"capability": "commands inside a domain whose guest agent is not connected"}
    wait = hint("CAPABILITY_MISSING", "exec", "desk", "ls", metadata=lacking)
    assert wait == "proa wait --ready desk waits for it while the guest boots"


def test_hint_to_wait_rounds_the_time_up():
    wait = hint("TOO_MANY_ATTEMPTS", "login", "ada", retry_after=timedelta(seconds=1.4))
    assert wait == "wait 2 s"


@pytest.mark.parametrize(
    ("place", "option"), [({"port": "80"}, "-ltn"), ({"socket_path": "/run/app.sock"}, "-lx")]
)
def test_hint_where_nobody_listens_lists_what_was_asked_for(place, option):
    told = {"cause": "refused", **place}
    found = hint("CONNECTION_FAILED", "port-forward", "web", ":80", metadata=told)
    assert found == f"proa exec web netstat {option} shows what listens inside"


def test_hint_about_a_path_that_is_no_file_does_not_call_it_a_directory():
    wrong = (Violation("path", "'/run/app.sock' is no regular file"),)
    copied = hint("INVALID_ARGUMENT", "cp", "web:/run/app.sock", ".", violations=wrong)
    assert copied == "if it is a directory, --recursive copies that with all that is in it"


def test_hint_about_a_path_of_another_form_does_not_speak_of_directories():
    wrong = (Violation("path", "must be an absolute path without '..'"),)
    assert "directory" not in hint(
        "INVALID_ARGUMENT", "cp", "web:/etc/../app.conf", ".", violations=wrong
    )
