"""What the contract calls by its fields and RPCs, in the words of the command line."""

import re
from collections.abc import Mapping

from proa.cli.typed import Typed

# A field of a request by other names than its option's: what was typed of them, else the first.
# What is within it is of the same option, unless it is told apart here.
_OPTIONS = {
    "allow_missing": "missing_ok",
    "base.format": "base_format",
    "boot_order": "boot",
    "delete_children": "children",
    "delete_saved_state": "saved_state",
    "delete_snapshots": "snapshots",
    "discard_saved_state": "discard_saved",
    "diskless": "disk",
    "dns_servers": "dns",
    "environment": "env",
    "extra_hosts": "add_host",
    "firmware": "uefi",
    "format": "form",
    "grace_period": "grace",
    "graphics": "no_screen",
    "guest_agent": "no_agent",
    "health_check": "health_cmd",
    "health_check.disabled": "no_healthcheck",
    "health_check.interval": "health_interval",
    "health_check.retries": "health_retries",
    "health_check.start_period": "health_start_period",
    "health_check.timeout": "health_timeout",
    "labels": "label",
    "lifetime": "rm transient",
    "log_options": "log_opt",
    "mounts": "volume mount tmpfs",
    "mounts.bind": "volume mount",
    "mounts.tmpfs": "tmpfs mount",
    "mounts.volume": "volume mount",
    "name_prefix": "name",
    "networkless": "network",
    "order_by": "sort",
    "pool": "name",
    "ports": "publish",
    "read_only_root": "read_only",
    "restart_policy": "restart",
    "serial_console": "no_serial",
    "stdin_open": "interactive",
    "working_dir": "workdir",
}
# What holds other fields, and is set by no option itself.
_HOLDERS = re.compile(r"(?:(?:spec|container|domain|filter|resources)\.)*")
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
    field = _HOLDERS.sub("", re.sub(r"\[[^\]]*\]", "", path), count=1).removesuffix("_bytes")
    while field:
        names = [field, *_OPTIONS.get(field, "").split(), field.removesuffix("s")]
        known = [name for name in names if name in typed.options]
        if known:
            return typed.options[next((n for n in known if n in typed.given), known[0])]
        field = field.rpartition(".")[0]
    return ""
