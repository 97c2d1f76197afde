"""Hints after a failure, in the terms of the command line.

A hint may name commands. Each of these is valid, is not the command that has just failed, and
destroys nothing unless that command would have.
"""

import os
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil

import grpc

import proa
from proa.cli.invocation import Invocation
from proa.cli.wording import option_of


@dataclass(frozen=True)
class Hint:
    """What to do after a failure.

    Attributes:
        text: the hint; empty if the error says enough.
        commands: the commands in it, as lists of arguments without "proa".
    """

    text: str = ""
    commands: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class _Rule:
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


def _is_running(_invocation: Invocation, error: proa.Error) -> bool:
    return error.metadata.get("quota") == "running"


def _lacks_agent(_invocation: Invocation, error: proa.Error) -> bool:
    return "agent is not connected" in error.metadata.get("capability", "")


def _is_for_containers(_invocation: Invocation, error: proa.Error) -> bool:
    return error.metadata.get("capability", "").endswith("of a command inside a domain")


def _is_local_login(invocation: Invocation, _error: proa.Error) -> bool:
    return bool(invocation.given.keys() & {"local", "login_socket"})


_BY_SERVICE_KEY = _in_environment("PROA_SERVICE_KEY", "PROA_SERVICE_KEY_FILE")
_SHOW = _Rule("{} shows how it is now", ("get {name}",))
_ENGINES = _Rule("{} shows how the engines are and what each can do", ("host",))
_WHAT_THERE_IS = _Rule("{} shows what there is", ("ls --all",))
_IMAGES = _Rule("{} shows what there is", ("images",))
_SNAPSHOTS = _Rule("{} shows what there is", ("snapshot ls {name}",))
_VOLUMES = _Rule("{} shows what there is", ("volumes ls",))
_START = _Rule("{} starts it", ("start {name}",))
_LOGIN = (
    _Rule(
        "that is the token in PROA_TOKEN; put a valid one there, or unset it and log in with {}",
        ("login USERNAME",),
        when=_in_environment("PROA_TOKEN"),
    ),
    _Rule("{} logs you in", ("login USERNAME",)),
)

RULES: Mapping[str, Sequence[_Rule]] = {
    "RESOURCE_NOT_FOUND": [_WHAT_THERE_IS],
    "IMAGE_NOT_FOUND": [
        _Rule("{} fetches it", ("pull {image}",), on=("run",), when=_never_pulls),
        _Rule("look in its registry how name and tag are spelt", on=("run", "pull")),
        _IMAGES,
    ],
    "SNAPSHOT_NOT_FOUND": [_SNAPSHOTS],
    "VOLUME_NOT_FOUND": [_VOLUMES],
    "FILE_NOT_FOUND": [_Rule("look what its directory has")],
    "HOST_NOT_FOUND": [_Rule("{} shows their names", ("host",))],
    "INVALID_ARGUMENT": [
        _Rule("that is {options}; {} tells what it takes", ("{command} --help",)),
        _Rule("{} tells what it takes", ("{command} --help",)),
    ],
    "AMBIGUOUS_ID": [
        _Rule("write one of these in its place: {candidates}"),
        _Rule("write container/NAME or domain/NAME"),
    ],
    "PAGE_TOKEN_INVALID": [_Rule("the daemon was changed during the list; list again")],
    "ALREADY_EXISTS": [
        _Rule("{} shows the one that has it", ("get {existing}",), when=_is_of_an_id),
        _Rule("{} shows the one that has the name", ("get {new}",), on=("run", "vm create")),
        _Rule("{} shows the one that has the name", ("get {new}",), on=("rename",)),
        _Rule("{} shows the one that has the name", ("get {existing}",)),
        _Rule("{} shows what there is", ("snapshot ls {name}",), on=("snapshot create",)),
        _Rule("{} shows what there is", ("volumes ls",), on=("volumes create",)),
    ],
    "ENGINE_CONFLICT": [
        _Rule("it passes by itself; the same command may succeed now", when=_may_be_repeated)
    ],
    "ENGINE_UNREACHABLE": [_ENGINES],
    "DATABASE_UNREACHABLE": [_Rule("it is the daemon's own; the daemon's log says why")],
    "AUDIT_UNAVAILABLE": [_Rule("make room on the disk of the daemon, whose log says why")],
    "REGISTRY_UNREACHABLE": [_Rule("it is the daemon's host that has to reach the registry")],
    "CONNECTION_FAILED": [
        _Rule("{} shows what listens inside", ("exec {name} netstat -ltn",), when=_was_refused)
    ],
    "ENGINE_TIMED_OUT": [
        _Rule("{} shows what became of it", ("images",), on=("rmi", "pull")),
        _Rule("{} shows what became of it", ("volumes ls",), on=("volumes create", "volumes rm")),
        _Rule(
            "{} shows what became of it",
            ("snapshot ls {name}",),
            on=("snapshot create", "snapshot rm"),
        ),
        _Rule("{} shows what became of it", ("get {name}",)),
        _Rule("{} shows what became of it", ("ls --all",)),
    ],
    "STOP_TIMED_OUT": [
        _Rule(
            "{} gives it more time; --mode graceful-then-force ends it after that",
            ("stop --grace 5m {name}",),
            on=("stop",),
        ),
        _Rule("{} gives it more time", ("restart --grace 5m {name}",), on=("restart",)),
        _SHOW,
    ],
    "CAPABILITY_MISSING": [
        _Rule(
            "{} waits for it while the guest boots",
            ("wait --ready {name}",),
            on=("exec",),
            when=_lacks_agent,
        ),
        _Rule(
            "{} tells what is for containers alone",
            ("{command} --help",),
            on=("exec",),
            when=_is_for_containers,
        ),
        _ENGINES,
    ],
    "RESOURCE_NOT_RUNNING": [
        _Rule("there is nothing to stop; {} shows how it is now", ("get {name}",), on=("stop",)),
        _START,
    ],
    "RESOURCE_ALREADY_RUNNING": [
        _Rule(
            "{} takes it back while it runs",
            ("snapshot revert {name} {snapshot}",),
            on=("start",),
        ),
        _SHOW,
    ],
    "RESOURCE_RUNNING": [
        _Rule(
            "{} stops it first; {} ends it at once and deletes it",
            ("stop {name}", "rm {flags} --force {name}"),
            on=("rm",),
        ),
        _Rule("{} stops it first", ("stop {name}",)),
    ],
    "ILLEGAL_STATE": [
        _Rule("{} lets it go on", ("resume {name}",), when=_is_paused),
        _SHOW,
    ],
    "DELETION_PROTECTED": [
        _Rule("{} takes it off", ("update --no-protect {name}",), on=("rm",)),
        _SHOW,
    ],
    "SPEC_INCOMPLETE": [
        _Rule("{} shows in full what it is made of", ("get -o json {name}",)),
    ],
    "CONDITION_IMPOSSIBLE": [_SHOW],
    "WAIT_TIMED_OUT": [_SHOW],
    "HAS_SNAPSHOTS": [
        _Rule("{} deletes them too", ("rm {flags} --snapshots {name}",), on=("rm",)),
        _Rule("{} shows them", ("snapshot ls {name}",)),
    ],
    "HAS_SAVED_STATE": [
        _Rule(
            "{} goes on from it, {} drops it",
            ("start {name}", "rm {flags} --saved-state {name}"),
            on=("rm",),
        ),
        _Rule("{} goes on from it", ("start {name}",)),
    ],
    "IN_USE": [
        _Rule(
            "{} deletes it with all of its names",
            ("rmi --force {name}",),
            on=("rmi",),
            when=_has_several_names,
        ),
        _Rule("{} shows the containers, with their images", ("ls --all",), on=("rmi",)),
        _Rule("{} shows the machines", ("ls --all --kind vm",), on=("volumes rm", "vm create")),
        _Rule("--force ends what others have attached", on=("attach", "console")),
        _Rule("{} shows what runs, with its ports", ("ls",)),
    ],
    "ACTIVITY_IN_PROGRESS": [_Rule("{} shows what is being done to it", ("get {name}",))],
    "ETAG_MISMATCH": [_Rule("{} shows it as it is now, with its etag", ("get -o json {name}",))],
    "REVISION_COMPACTED": [_Rule("begin anew; what happened meanwhile is not kept")],
    "TOKEN_MISSING": _LOGIN,
    "TOKEN_INVALID": _LOGIN,
    "TOKEN_EXPIRED": _LOGIN,
    "TOKEN_REVOKED": _LOGIN,
    "BAD_CREDENTIALS": [
        _Rule("give a user's name instead, to log in with a password", when=_is_local_login),
        _Rule("type them again, or have the password set on the daemon's host", on=("login",)),
        _Rule(
            "that is the key of PROA_SERVICE_KEY or PROA_SERVICE_KEY_FILE",
            when=_BY_SERVICE_KEY,
        ),
        _Rule(
            "they are those in PROA_USERNAME and PROA_PASSWORD",
            when=_in_environment("PROA_USERNAME"),
        ),
        _Rule("{} asks for them again", ("login USERNAME",)),
    ],
    "TOO_MANY_ATTEMPTS": [_Rule("wait {seconds} s"), _Rule("wait a while")],
    "TOO_MANY_CALLS": [_Rule("wait {seconds} s"), _Rule("wait a while")],
    "QUOTA_EXCEEDED": [
        _Rule(
            "{} shows what is used; {} what runs, to be stopped", ("whoami", "ls"), when=_is_running
        ),
        _Rule("{} shows what is used; {} what there is", ("whoami", "ls --all")),
    ],
    "ACCESS_MISSING": [_Rule("{} asks for all that you have", ("login USERNAME",))],
    "SCOPE_MISSING": [
        _Rule("leave out --scope to get all that you have", on=("login",)),
        _Rule(
            "that is the token in PROA_TOKEN; put another there",
            when=_in_environment("PROA_TOKEN"),
        ),
        _Rule(
            "that is the key of PROA_SERVICE_KEY or PROA_SERVICE_KEY_FILE, which has its own scopes",
            when=_BY_SERVICE_KEY,
        ),
        _Rule("{} asks for all that you have", ("login USERNAME",)),
    ],
    "POLICY_DENIED": [
        _Rule(
            "name a network of your own with --network; who runs the daemon gives you one "
            "({setting} in [policy.profiles.{profile}] would allow this one)",
            on=("run", "recreate", "vm create"),
            when=_is_shared_network,
        ),
        _Rule(
            "who runs the daemon may allow it: {settings} in [policy.profiles.{profile}], and in "
            "[policy], which bounds the profiles"
        ),
    ],
    "REGISTRY_DENIED": [
        _Rule(
            "type them again; some registries want a token in place of the password",
            on=("registry login",),
        ),
        _Rule("{} logs you in there", ("registry login {registry}",)),
        _Rule("{} logs you in there", ("registry login",)),
    ],
    "INTERNAL": [_Rule("the daemon's log has more under the correlation id {correlation_id}")],
    "HOST_EXHAUSTED": [
        _Rule("{}, {} and {} show what takes room", ("images", "volumes ls", "top --once"))
    ],
    "CONSOLE_TAKEN": [_Rule("the same with --force takes it back")],
    "READER_TOO_SLOW": [_Rule("attach again; what it writes meanwhile is not kept")],
    "SHUTTING_DOWN": [_Rule("try again when it has been started anew")],
    "TOO_MANY_STREAMS": [_Rule("end some of the others first")],
    "INTERRUPTED": [_Rule("look what became of it before you repeat it")],
    "REQUEST_NOT_FOUND": [_Rule("requests are forgotten 24 hours after their end")],
    "REQUEST_CANCELLED": [_Rule("somebody with your user name ended it")],
    "TOO_MANY_REQUESTS": [_Rule("requests are forgotten 24 hours after their end")],
}

_WITHOUT_REASON: Sequence[tuple[type[proa.Error], _Rule]] = (
    (
        proa.Unavailable,
        _Rule(
            "is proad running, with the setting login_socket? name that path with --login-socket",
            when=_is_local_login,
        ),
    ),
    (
        proa.Unavailable,
        _Rule("is proad running at {target}? choose another with --target or PROA_TARGET"),
    ),
    (
        proa.Unimplemented,
        _Rule("that daemon may be an older one; {} shows", ("version",)),
    ),
)

_BRACED = re.compile(r"\{(\w*)\}")


def hint_for(error: proa.Error, invocation: Invocation) -> Hint:
    """Return the hint after a failure."""
    if error.reason:
        rules = RULES.get(error.reason, ())
    else:
        rules = [rule for kind, rule in _WITHOUT_REASON if isinstance(error, kind)]
    known = {
        **_invocation_values(invocation),
        **_error_values(error),
        "options": _options(error, invocation),
    }
    for rule in rules:
        if (not rule.on or invocation.command in rule.on) and rule.when(invocation, error):
            words = {w for text in (rule.text, *rule.commands) for w in _BRACED.findall(text)}
            if all(known[word] for word in words - {"", "flags"}):
                hint = _filled(rule, known)
                if not any(_repeats(argv, invocation) for argv in hint.commands):
                    return hint
    return Hint()


def _repeats(argv: Sequence[str], invocation: Invocation) -> bool:
    """Return whether a command is the failed one, without any option added."""
    command = invocation.command.split()
    given = {option for name, option in invocation.options.items() if name in invocation.given}
    options = {word for word in argv if word.startswith("--") and word != "--"}
    return list(argv[: len(command)]) == command and options <= given


def _filled(rule: _Rule, known: Mapping[str, str]) -> Hint:
    commands = tuple(tuple(_argv(command, known)) for command in rule.commands)
    written = (shlex.join(("proa", *argv)) for argv in commands)
    text = _BRACED.sub(lambda match: known[match[1]] if match[1] else next(written), rule.text)
    return Hint(text, commands)


def _argv(command: str, known: Mapping[str, str]) -> Iterator[str]:
    for word in command.split():
        match = _BRACED.fullmatch(word)
        if match is None:
            yield word
        elif match[1] in {"command", "flags"}:
            yield from known[match[1]].split()
        else:
            if known[match[1]].startswith("-"):
                yield "--"
            yield known[match[1]]


def _invocation_values(invocation: Invocation) -> dict[str, str]:
    """Return the values of the invocation by name."""
    flags = (invocation.options[name] for name, value in invocation.given.items() if value is True)
    return {
        "command": invocation.command,
        "name": invocation.name,
        "image": str(invocation.given.get("image", invocation.name)),
        "new": str(invocation.given.get("name", "")),
        "snapshot": str(invocation.given.get("from_snapshot", "")),
        "target": invocation.target,
        "flags": " ".join(flags),
    }


def _error_values(error: proa.Error) -> dict[str, str]:
    """Return the values of the error by name."""
    wait = error.retry_after
    candidates = error.metadata.get("candidates", "")
    setting = error.metadata.get("setting", "")
    settings = error.metadata.get("settings", setting)  # of older daemons the first alone
    return {
        "existing": error.metadata.get("existing_id", ""),
        "candidates": ", ".join(map(shlex.quote, filter(None, candidates.split(",")))),
        "setting": setting,
        "settings": ", ".join(settings.split(",")),
        "profile": error.metadata.get("profile", ""),
        "registry": error.metadata.get("registry", ""),
        "correlation_id": error.correlation_id,
        "seconds": "" if wait is None else f"{max(1, ceil(wait.total_seconds()))}",
    }


def _options(error: proa.Error, invocation: Invocation) -> str:
    """Return the options that set the invalid fields."""
    named = (option_of(violation.field, invocation) for violation in error.violations)
    return " and ".join(dict.fromkeys(option for option in named if option))
