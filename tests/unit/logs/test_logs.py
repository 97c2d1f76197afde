"""What goes to the log: nothing that a terminal obeys, and no credentials."""

import json
import subprocess
import sys

import pytest

PROGRAM = r"""
import logging, sys, structlog
from proad.config import LogFormat, LogLevel
from proad.logs import configure_logs
configure_logs(LogFormat(sys.argv[1]), LogLevel.DEBUG)
odd = "a\x1b[2J\n\x9b\u202eb ssh://me:pl4nted@h?password=pl4nted"
structlog.get_logger("ours").warning("told", text=odd, number=1)
structlog.get_logger("ours").warning("told", text="\x1b[2J\x9b\u202e", others=["\x1b"])
logging.getLogger("theirs").warning("told %s", odd)
try:
    raise ValueError("ssh://me:pl4nted@h \x1b[2J")
except ValueError:
    structlog.get_logger("ours").exception("fault")
logging.getLogger("sqlalchemy.engine.Engine").debug("Row pl4nted")
"""


@pytest.mark.parametrize("form", ["console", "json"])
def test_log_lines_contain_no_credentials_and_no_control_characters(form):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, form], capture_output=True, text=True, check=True
    )
    text = done.stderr

    assert "pl4nted" not in text
    assert text.count("ssh://h?password=***") == 2
    assert all(c.isprintable() or c in "\n\t" for c in text)
    if form == "json":
        ours, bare, theirs, fault = map(json.loads, text.splitlines())
        assert ours["text"] == "a\x1b[2J\n\x9b\u202eb ssh://h?password=***"
        assert bare["text"] == "\x1b[2J\x9b\u202e"
        assert theirs["event"].startswith("told a\x1b[2J")
        assert fault["exception"][0]["exc_value"] == "ssh://h \x1b[2J"
    else:
        first, bare, second, *_ = text.splitlines()
        assert r"a\x1b[2J\n\x9b\u202eb ssh://h" in first
        assert r"text='\x1b[2J\x9b\u202e'" in bare
        assert r"a\x1b[2J\n\x9b\u202eb ssh://h" in second
