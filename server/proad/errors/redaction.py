"""Redaction of credentials in texts that may contain a URL: endpoints, errors, settings, logs."""

import re

# Characters that end a URL in a text. Settings refuse URLs that contain one.
_END = re.compile(r"""[\s"'<>\\]|$""")
# Parameters of libvirt's and PostgreSQL's URLs that are no secrets.
_HARMLESS = frozenset(
    {
        "application_name", "channel_binding", "connect_timeout", "dbname", "gssencmode", "host",
        "hostaddr", "keyfile", "known_hosts", "known_hosts_verify", "mode", "name", "netcat",
        "no_sanity", "no_tty", "no_verify", "pkipath", "port", "proxy", "session", "socket",
        "sslcert", "sslkey", "sslmode", "sslrootcert", "sshauth", "target_session_attrs",
        "tls_priority",
    }
)  # fmt: skip
# Passwords in messages of client libraries: password=… or "password": "…"; not the file passwd.
_SETTING = re.compile(
    r"""(?i)((?:passw(?:or)?d|passphrase)(?:\s?=\s?|(?<!/passwd)["']:\s?))"""
    r"""("[^"]*"|'[^']*'|[^\s&;,'"]+)"""
)
_NOTHING = "***"


def redacted(text: str) -> str:
    """Return a text without credentials: user info and parameters of URLs, passwords.

    Names of parameters stay, and values of harmless ones. The time is linear in the length of
    the text, whatever its contents.
    """
    if "://" in text:
        text = "".join(_without_credentials(text))
    if "pass" in text.lower():
        text = _SETTING.sub(rf"\1{_NOTHING}", text)
    return text


def _without_credentials(text: str) -> list[str]:
    pieces = []
    done = 0
    while (found := text.find("://", done)) >= 0:
        begin = found + len("://")
        match = _END.search(text, begin)
        end = match.start() if match else len(text)
        pieces += [text[done:begin], _redacted_rest(text[begin:end])]
        done = end
    return [*pieces, text[done:]]


def _redacted_rest(rest: str) -> str:
    """Return the part of a URL after its scheme, redacted."""
    # Up to the last "@": the end of a password that is not percent-encoded is ambiguous.
    _, _, rest = rest.rpartition("@")
    place, mark, query = rest.partition("?")
    if not mark:
        return rest
    return f"{place}?{re.sub('[^&;]+', _parameter, query)}"


def _parameter(found: re.Match[str]) -> str:
    name, assigned, _ = found[0].partition("=")
    if not assigned or name.lower() in _HARMLESS:
        return found[0]
    return f"{name}={_NOTHING}"
