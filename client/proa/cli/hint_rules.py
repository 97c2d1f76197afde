"""What hints there are, by the reason of the error, and when each applies.

A hint may name commands. Each of these is valid, is not the command that has just failed, and
destroys nothing unless that command would have.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import grpc

import proa
from proa.cli.invocation import Invocation


@dataclass(frozen=True)
class Rule:
    """A hint and its condition.

    In the text, each "{}" stands for a command. A name in braces stands for a value of the
    invocation or of the error; a rule with a value that is empty does not apply.

    Attributes:
        text: the hint.
        commands: the commands, without "proa".
        on: the commands after which the rule applies; empty for all.
        when: condition of the rule.
    """

    text: str
    commands: tuple[str, ...] = ()
    on: tuple[str, ...] = ()
    when: Callable[[Invocation, proa.Error], bool] = lambda _invocation, _error: True


def _never_pulls(invocation: Invocation, _error: proa.Error) -> bool:
    return invocation.given.get("pull") == "never"


def _in_environment(*names: str) -> Callable[[Invocation, proa.Error], bool]:
    return lambda _invocation, _error: any(os.environ.get(name) for name in names)


def _is_paused(_invocation: Invocation, error: proa.Error) -> bool:
    return error.metadata.get("state") in {"PAUSED", "SUSPENDED"}


def _has_several_names(_invocation: Invocation, error: proa.Error) -> bool:
    return bool(error.metadata.get("names"))


def _is_of_an_id(_invocation: Invocation, error: proa.Error) -> bool:
    return error.metadata.get("existing_id", "") in {
        value for key, value in error.metadata.items() if key != "existing_id"
    }


def _may_be_repeated(_invocation: Invocation, error: proa.Error) -> bool:
    return error.code() is grpc.StatusCode.ABORTED


def _is_shared_network(_invocation: Invocation, error: proa.Error) -> bool:
    return error.metadata.get("rule") == "shared network"


def _was_refused(_invocation: Invocation, error: proa.Error) -> bool:
    return error.metadata.get("cause") == "refused"


def _was_refused_at_a_socket(invocation: Invocation, error: proa.Error) -> bool:
    return _was_refused(invocation, error) and "socket_path" in error.metadata


def _is_of_no_file(invocation: Invocation, error: proa.Error) -> bool:
    is_no_file = any(
        violation.field == "path" and violation.description.endswith("is no regular file")
        for violation in error.violations
    )
    return is_no_file and not invocation.given.get("recursive")


def _is_running(_invocation: Invocation, error: proa.Error) -> bool:
    return error.metadata.get("quota") == "running"


def _lacks_agent(_invocation: Invocation, error: proa.Error) -> bool:
    return "agent is not connected" in error.metadata.get("capability", "")


def _is_for_containers(_invocation: Invocation, error: proa.Error) -> bool:
    return error.metadata.get("capability", "").endswith("of a command inside a domain")


def _is_local_login(invocation: Invocation, _error: proa.Error) -> bool:
    return bool(invocation.given.keys() & {"local", "login_socket"})


_BY_SERVICE_KEY = _in_environment("PROA_SERVICE_KEY", "PROA_SERVICE_KEY_FILE")
_SHOW = Rule("{} shows how it is now", ("get {name}",))
_ENGINES = Rule("{} shows how the engines are and what each can do", ("host",))
_WHAT_THERE_IS = Rule("{} shows what there is", ("ls --all",))
_IMAGES = Rule("{} shows what there is", ("images",))
_SNAPSHOTS = Rule("{} shows what there is", ("snapshot ls {name}",))
_VOLUMES = Rule("{} shows what there is", ("volumes ls",))
_START = Rule("{} starts it", ("start {name}",))
_LOGIN = (
    Rule(
        "that is the token in PROA_TOKEN; put a valid one there, or unset it and log in with {}",
        ("login USERNAME",),
        when=_in_environment("PROA_TOKEN"),
    ),
    Rule("{} logs you in", ("login USERNAME",)),
)

RULES: Mapping[str, Sequence[Rule]] = {
    "RESOURCE_NOT_FOUND": [_WHAT_THERE_IS],
    "IMAGE_NOT_FOUND": [
        Rule("{} fetches it", ("pull {image}",), on=("run",), when=_never_pulls),
        Rule("look in its registry how name and tag are spelt", on=("run", "pull")),
        _IMAGES,
    ],
    "SNAPSHOT_NOT_FOUND": [_SNAPSHOTS],
    "VOLUME_NOT_FOUND": [_VOLUMES],
    "FILE_NOT_FOUND": [Rule("look what its directory has")],
    "HOST_NOT_FOUND": [Rule("{} shows their names", ("host",))],
    "INVALID_ARGUMENT": [
        Rule(
            "if it is a directory, --recursive copies that with all that is in it",
            on=("cp",),
            when=_is_of_no_file,
        ),
        Rule("that is {options}; {} tells what it takes", ("{command} --help",)),
        Rule("{} tells what it takes", ("{command} --help",)),
    ],
    "AMBIGUOUS_ID": [
        Rule("write one of these in its place: {candidates}"),
        Rule("write container/NAME or domain/NAME"),
    ],
    "PAGE_TOKEN_INVALID": [Rule("the daemon was changed during the list; list again")],
    "ALREADY_EXISTS": [
        Rule("{} shows the one that has it", ("get {existing}",), when=_is_of_an_id),
        Rule("{} shows the one that has the name", ("get {new}",), on=("run", "vm create")),
        Rule("{} shows the one that has the name", ("get {new}",), on=("rename",)),
        Rule("{} shows the one that has the name", ("get {existing}",)),
        Rule("{} shows what there is", ("snapshot ls {name}",), on=("snapshot create",)),
        Rule("{} shows what there is", ("volumes ls",), on=("volumes create",)),
    ],
    "ENGINE_CONFLICT": [
        Rule("it passes by itself; the same command may succeed now", when=_may_be_repeated)
    ],
    "ENGINE_UNREACHABLE": [_ENGINES],
    "DATABASE_UNREACHABLE": [Rule("it is the daemon's own; the daemon's log says why")],
    "AUDIT_UNAVAILABLE": [Rule("make room on the disk of the daemon, whose log says why")],
    "REGISTRY_UNREACHABLE": [Rule("it is the daemon's host that has to reach the registry")],
    "CONNECTION_FAILED": [
        Rule(
            "{} shows what listens inside",
            ("exec {name} netstat -lx",),
            when=_was_refused_at_a_socket,
        ),
        Rule("{} shows what listens inside", ("exec {name} netstat -ltn",), when=_was_refused),
    ],
    "ENGINE_TIMED_OUT": [
        Rule("{} shows what became of it", ("images",), on=("rmi", "pull")),
        Rule("{} shows what became of it", ("volumes ls",), on=("volumes create", "volumes rm")),
        Rule(
            "{} shows what became of it",
            ("snapshot ls {name}",),
            on=("snapshot create", "snapshot rm"),
        ),
        Rule("{} shows what became of it", ("get {name}",)),
        Rule("{} shows what became of it", ("ls --all",)),
    ],
    "STOP_TIMED_OUT": [
        Rule(
            "{} gives it more time; --mode graceful-then-force ends it after that",
            ("stop --grace 5m {name}",),
            on=("stop",),
        ),
        Rule("{} gives it more time", ("restart --grace 5m {name}",), on=("restart",)),
        _SHOW,
    ],
    "CAPABILITY_MISSING": [
        Rule(
            "{} waits for it while the guest boots",
            ("wait --ready {name}",),
            on=("exec",),
            when=_lacks_agent,
        ),
        Rule(
            "{} tells what is for containers alone",
            ("{command} --help",),
            on=("exec",),
            when=_is_for_containers,
        ),
        _ENGINES,
    ],
    "RESOURCE_NOT_RUNNING": [
        Rule("there is nothing to stop; {} shows how it is now", ("get {name}",), on=("stop",)),
        _START,
    ],
    "RESOURCE_ALREADY_RUNNING": [
        Rule(
            "{} takes it back while it runs",
            ("snapshot revert {name} {snapshot}",),
            on=("start",),
        ),
        _SHOW,
    ],
    "RESOURCE_RUNNING": [
        Rule(
            "{} stops it first; {} ends it at once and deletes it",
            ("stop {name}", "rm {flags} --force {name}"),
            on=("rm",),
        ),
        Rule("{} stops it first", ("stop {name}",)),
    ],
    "ILLEGAL_STATE": [
        Rule("{} lets it go on", ("resume {name}",), when=_is_paused),
        _SHOW,
    ],
    "DELETION_PROTECTED": [
        Rule("{} takes it off", ("update --no-protect {name}",), on=("rm",)),
        _SHOW,
    ],
    "SPEC_INCOMPLETE": [
        Rule("{} shows in full what it is made of", ("get -o json {name}",)),
    ],
    "CONDITION_IMPOSSIBLE": [_SHOW],
    "WAIT_TIMED_OUT": [_SHOW],
    "HAS_SNAPSHOTS": [
        Rule("{} deletes them too", ("rm {flags} --snapshots {name}",), on=("rm",)),
        Rule("{} shows them", ("snapshot ls {name}",)),
    ],
    "HAS_SAVED_STATE": [
        Rule(
            "{} goes on from it, {} drops it",
            ("start {name}", "rm {flags} --saved-state {name}"),
            on=("rm",),
        ),
        Rule("{} goes on from it", ("start {name}",)),
    ],
    "IN_USE": [
        Rule(
            "{} deletes it with all of its names",
            ("rmi --force {name}",),
            on=("rmi",),
            when=_has_several_names,
        ),
        Rule("{} shows the containers, with their images", ("ls --all",), on=("rmi",)),
        Rule("{} shows the machines", ("ls --all --kind vm",), on=("volumes rm", "vm create")),
        Rule("--force ends what others have attached", on=("attach", "console")),
        Rule("{} shows what runs, with its ports", ("ls",)),
    ],
    "ACTIVITY_IN_PROGRESS": [Rule("{} shows what is being done to it", ("get {name}",))],
    "ETAG_MISMATCH": [Rule("{} shows it as it is now, with its etag", ("get -o json {name}",))],
    "REVISION_COMPACTED": [Rule("begin anew; what happened meanwhile is not kept")],
    "TOKEN_MISSING": _LOGIN,
    "TOKEN_INVALID": _LOGIN,
    "TOKEN_EXPIRED": _LOGIN,
    "TOKEN_REVOKED": _LOGIN,
    "BAD_CREDENTIALS": [
        Rule("give a user's name instead, to log in with a password", when=_is_local_login),
        Rule("type them again, or have the password set on the daemon's host", on=("login",)),
        Rule(
            "that is the key of PROA_SERVICE_KEY or PROA_SERVICE_KEY_FILE",
            when=_BY_SERVICE_KEY,
        ),
        Rule(
            "they are those in PROA_USERNAME and PROA_PASSWORD",
            when=_in_environment("PROA_USERNAME"),
        ),
        Rule("{} asks for them again", ("login USERNAME",)),
    ],
    "TOO_MANY_ATTEMPTS": [Rule("wait {seconds} s"), Rule("wait a while")],
    "TOO_MANY_CALLS": [Rule("wait {seconds} s"), Rule("wait a while")],
    "QUOTA_EXCEEDED": [
        Rule(
            "{} shows what is used; {} what runs, to be stopped", ("whoami", "ls"), when=_is_running
        ),
        Rule("{} shows what is used; {} what there is", ("whoami", "ls --all")),
    ],
    "ACCESS_MISSING": [Rule("{} asks for all that you have", ("login USERNAME",))],
    "SCOPE_MISSING": [
        Rule("leave out --scope to get all that you have", on=("login",)),
        Rule(
            "that is the token in PROA_TOKEN; put another there",
            when=_in_environment("PROA_TOKEN"),
        ),
        Rule(
            "that is the key of PROA_SERVICE_KEY or PROA_SERVICE_KEY_FILE, which has its own scopes",
            when=_BY_SERVICE_KEY,
        ),
        Rule("{} asks for all that you have", ("login USERNAME",)),
    ],
    "POLICY_DENIED": [
        Rule(
            "name a network of your own with --network; who runs the daemon gives you one "
            "({setting} in [policy.profiles.{profile}] would allow this one)",
            on=("run", "recreate", "vm create"),
            when=_is_shared_network,
        ),
        Rule(
            "who runs the daemon may allow it: {settings} in [policy.profiles.{profile}], and in "
            "[policy], which bounds the profiles"
        ),
    ],
    "REGISTRY_DENIED": [
        Rule(
            "type them again; some registries want a token in place of the password",
            on=("registry login",),
        ),
        Rule("{} logs you in there", ("registry login {registry}",)),
        Rule("{} logs you in there", ("registry login",)),
    ],
    "INTERNAL": [Rule("the daemon's log has more under the correlation id {correlation_id}")],
    "HOST_EXHAUSTED": [
        Rule("{}, {} and {} show what takes room", ("images", "volumes ls", "top --once"))
    ],
    "CONSOLE_TAKEN": [Rule("the same with --force takes it back")],
    "READER_TOO_SLOW": [
        Rule("attach or read again, faster; what is written to a console meanwhile is not kept")
    ],
    "SHUTTING_DOWN": [Rule("try again when it has been started anew")],
    "TOO_MANY_STREAMS": [Rule("end some of the others first")],
    "INTERRUPTED": [Rule("look what became of it before you repeat it")],
    "REQUEST_NOT_FOUND": [Rule("requests are forgotten 24 hours after their end")],
    "REQUEST_CANCELLED": [Rule("somebody with your user name ended it")],
    "TOO_MANY_REQUESTS": [Rule("requests are forgotten 24 hours after their end")],
}

WITHOUT_REASON: Sequence[tuple[type[proa.Error], Rule]] = (
    (
        proa.Unavailable,
        Rule(
            "is proad running, with the setting login_socket? name that path with --login-socket",
            when=_is_local_login,
        ),
    ),
    (
        proa.Unavailable,
        Rule("is proad running at {target}? choose another with --target or PROA_TARGET"),
    ),
    (
        proa.Unimplemented,
        Rule("that daemon may be an older one; {} shows", ("version",)),
    ),
)
