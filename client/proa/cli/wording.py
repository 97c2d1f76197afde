"""Fields and RPCs of the contract in the terms of the command line."""

import re
from collections.abc import Mapping

from proa.cli.invocation import Invocation

# Options of fields with another name: the one that was used, or else the first. Fields within a
# field belong to the same option, unless they are listed.
_OPTIONS = {
    "argv": "command",
    "allow_missing": "missing_ok",
    "base.format": "base_format",
    "boot_order": "boot",
    "delete_children": "children",
    "delete_saved_state": "saved_state",
    "delete_snapshots": "snapshots",
    "discard_saved_state": "discard_saved",
    "deletion_protection": "protect",
    "diskless": "disk",
    "dns_servers": "dns",
    "environment": "env",
    "extra_hosts": "add_host",
    "firmware": "uefi",
    "format": "form",
    "grace_period": "grace",
    "graphics": "screen",
    "guest_agent": "no_agent",
    "health_check": "health_cmd",
    "has_address": "address",
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
    "stdin": "interactive",
    "stdin_open": "interactive",
    "validate_only": "dry_run",
    "working_dir": "workdir",
}
# Fields that only contain others; no option sets them.
_HOLDERS = re.compile(r"(?:(?:start|command|spec|container|domain|filter|resources)\.)*")
COMMANDS_BY_RPC: Mapping[str, str] = {
    "CreateSnapshot": "proa snapshot create",
    "CreateToken": "proa login",
    "CreateVolume": "proa volumes create",
    "DeleteResource": "proa rm",
    "DeleteSnapshot": "proa snapshot rm",
    "DeleteVolume": "proa volumes rm",
    "ForwardPort": "proa port-forward",
    "GetHost": "proa host",
    "GetResource": "proa get",
    "ListFiles": "proa files ls",
    "ListHosts": "proa host",
    "ListImages": "proa images",
    "ListResources": "proa ls",
    "ListSnapshots": "proa snapshot ls",
    "ListVolumes": "proa volumes ls",
    "LoginRegistry": "proa registry login",
    "MakeDirectory": "proa files mkdir",
    "PauseResource": "proa pause",
    "PullImage": "proa pull",
    "RefreshToken": "proa login",
    "ResumeResource": "proa resume",
    "RevertSnapshot": "proa snapshot revert",
    "RunCommand": "proa exec",
    "StartResource": "proa start",
    "StopResource": "proa stop",
    "StreamLogs": "proa logs",
    "ReadFile": "proa cp",
    "RemoveFile": "proa files rm",
    "StatFile": "proa files stat",
    "WriteFile": "proa cp",
    "RecreateContainer": "proa recreate",
    "UpdateResource": "proa update",
    "WaitResource": "proa wait",
    "WatchResources": "proa watch",
}
# Quoted texts, paths and host names contain no terms of the contract; a setting or a quota may
# have the name of a field.
_WORDS = re.compile(
    r"""(?P<quoted>'[^']*'|"[^"]*")|(?P<named>\b(?:setting|quota\ of)\ [a-z_.]+)|(?P<set>\bset\ (?:force|overwrite|recursive)\b)
    |(?P<protocol>\ and\ send\ it\ as\ 'authorization:[^']*'|,\ or\ give\ the\ input\ to\ RunCommand\b)
    |\b(?:AuthService/)?(?P<call>(?:[A-Z][a-z]+){2,})\b(?:\ with\ the\ mask\ [a-z_]+)?
    |(?<![\w./:@-])
    (?P<field>(?:start|command|spec|container|domain|filter)(?:(?:\[\w*\])?\.[a-z_]+)+|[a-z]+(?:_[a-z]+)+)
    (?![\w/@-]|\.\w)""",
    re.VERBOSE,
)


def in_cli_words(message: str, invocation: Invocation) -> str:
    """Replace fields and RPCs in a message of the daemon by options and commands."""

    def own(match: re.Match[str]) -> str:
        word = match[0]
        match match.lastgroup:
            case "call":
                return COMMANDS_BY_RPC.get(match["call"], word)
            case "protocol":
                return ""  # the client sends the token, and has no such call
            case "set" if (option := word.partition(" ")[2]) in invocation.options:
                return f"use {invocation.options[option]}"
            case "set" if (option := f"no_{word.partition(' ')[2]}") in invocation.options:
                return f"leave out {invocation.options[option]}"
            case "field":
                return option_of(word, invocation) or word
        return word

    return _WORDS.sub(own, message)


def option_of(path: str, invocation: Invocation) -> str:
    """Return the option of the invoked command that sets a field; empty without one."""
    field = _HOLDERS.sub("", re.sub(r"\[[^\]]*\]", "", path), count=1).removesuffix("_bytes")
    while field:
        names = [field, *_OPTIONS.get(field, "").split(), field.removesuffix("s")]
        known = [name for name in names if name in invocation.options]
        if known:
            return invocation.options[next((n for n in known if n in invocation.given), known[0])]
        field = field.rpartition(".")[0]
    return ""
