"""What the contract calls by its fields and RPCs, in the words of the command line."""

import re
from collections.abc import Iterator, Mapping

from proa.cli.typed import Typed

# A field of a request by another name than its option's.
_OPTIONS = {
    "order_by": "sort",
    "ports": "publish",
    "environment": "env",
    "mounts": "volume",
    "grace_period": "grace",
    "capacity": "size",
    "networkless": "network",
    "diskless": "disk",
    "discard_saved_state": "discard_saved",
    "delete_snapshots": "snapshots",
    "delete_saved_state": "saved_state",
    "delete_children": "children",
    "boot_order": "boot",
    "labels": "label",
    "name_prefix": "name",
}
_CALLS: Mapping[str, str] = {
    "CreateSnapshot": "proa snapshot create",
    "CreateToken": "proa login",
    "DeleteResource": "proa rm",
    "DeleteSnapshot": "proa snapshot rm",
    "GetHost": "proa host",
    "GetResource": "proa get",
    "ListImages": "proa images",
    "ListResources": "proa ls",
    "ListSnapshots": "proa snapshot ls",
    "ListVolumes": "proa volumes ls",
    "LoginRegistry": "proa registry login",
    "PauseResource": "proa pause",
    "PullImage": "proa pull",
    "ResumeResource": "proa resume",
    "RevertSnapshot": "proa snapshot revert",
    "StartResource": "proa start",
    "StopResource": "proa stop",
    "UpdateResource": "proa update",
    "WatchResources": "proa watch",
}
# What is quoted, and what stands in a path or a host's name, is no word of the contract.
_WORDS = re.compile(
    r"""(?P<quoted>'[^']*'|"[^"]*")|(?P<force>\bset\ force\b)
    |\b(?:AuthService/)?(?P<call>(?:[A-Z][a-z]+){2,})\b
    |(?<![\w./:@-])
    (?P<field>(?:spec|container|domain|filter)(?:(?:\[\w*\])?\.[a-z_]+)+|[a-z]+(?:_[a-z]+)+)
    (?![\w/@-]|\.\w)""",
    re.VERBOSE,
)


def in_own_words(message: str, typed: Typed) -> str:
    """Say options and commands where a daemon's text has fields and RPCs."""

    def own(match: re.Match[str]) -> str:
        word = match[0]
        match match.lastgroup:
            case "call":
                return _CALLS.get(match["call"], word)
            case "force" if "force" in typed.options:
                return f"use {typed.options['force']}"
            case "field":
                return option_of(word, typed) or word
        return word

    return _WORDS.sub(own, message)


def option_of(path: str, typed: Typed) -> str:
    """Give the option of the command at hand that sets a field; empty: it has none."""
    for part in _parts(path):
        for name in (part, _OPTIONS.get(part, ""), part.removesuffix("s")):
            if name in typed.options:
                return typed.options[name]
    return ""


def _parts(path: str) -> Iterator[str]:
    """Name the fields of a path, the innermost first."""
    for part in reversed(re.sub(r"\[[^\]]*\]", "", path).split(".")):
        yield part.removesuffix("_bytes")
