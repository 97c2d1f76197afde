"""Hints after a failure, in the terms of the command line: `hint_rules` filled in for one of them."""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil

import proa
from proa.cli.hint_rules import RULES, WITHOUT_REASON, Rule
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


_BRACED = re.compile(r"\{(\w*)\}")


def hint_for(error: proa.Error, invocation: Invocation) -> Hint:
    """Return the hint after a failure."""
    if error.reason:
        rules = RULES.get(error.reason, ())
    else:
        rules = [rule for kind, rule in WITHOUT_REASON if isinstance(error, kind)]
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


def _filled(rule: Rule, known: Mapping[str, str]) -> Hint:
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
