import json
import re
import tomllib
from contextlib import suppress
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy.engine import make_url

from proad.config import (
    DEFAULT_HOST,
    DEFAULT_LISTEN,
    LogFormat,
    Settings,
    TcpAddress,
    UnixAddress,
    example,
    load_settings,
)
from proad.config.loading import OTHER_VARIABLES, setting_variables
from proad.policy import Profile


def test_load_settings_without_a_file_returns_the_defaults(monkeypatch):
    monkeypatch.setattr("os.geteuid", lambda: 0)
    settings = load_settings(None)
    assert settings.state_dir == Path("/var/lib/proa")
    assert settings.keys_dir == Path("/var/lib/proa/keys")
    assert settings.listen == (DEFAULT_LISTEN,)
    assert settings.database_url.get_secret_value() == "sqlite+aiosqlite:////var/lib/proa/proa.db"
    assert settings.hosts == (DEFAULT_HOST,)
    assert settings.tls is None
    assert settings.token_lifetime == timedelta(minutes=30)
    assert settings.drain_timeout == timedelta(seconds=30)


def test_state_dir_of_an_ordinary_user_is_in_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert load_settings(None).state_dir == tmp_path / "proa"
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    monkeypatch.setenv("HOME", "/home/me")
    assert load_settings(None).state_dir == Path("/home/me/.local/state/proa")


def test_load_settings_prefers_variable_to_file_to_default(write, monkeypatch):
    config = write('state_dir = "/a"\nlog_format = "json"\ndrain_timeout = 5\n')
    monkeypatch.setenv("PROA_STATE_DIR", "/b")
    monkeypatch.setenv("PROA_LOG_FORMAT", "")
    settings = load_settings(config)
    assert settings.state_dir == Path("/b")
    assert settings.log_format is LogFormat.JSON
    assert settings.drain_timeout == timedelta(seconds=5)
    assert settings.database_url.get_secret_value() == "sqlite+aiosqlite:////b/proa.db"


def test_each_plain_setting_has_a_variable(monkeypatch, tmp_path):
    pem = tmp_path / "x.pem"
    pem.touch()
    values = {
        "state_dir": "/s",
        "listen": "unix:/a.sock, 127.0.0.1:1,[::1]:2",
        "database_url": "postgres://me:pw@db/proa",
        "tls_cert_file": str(pem),
        "tls_key_file": str(pem),
        "tls_client_ca_file": str(pem),
        "secret_patterns": "pin=,(?i)salt",
        "tls_client_crl_file": str(pem),
        "tls_client_listen": "127.0.0.1:1",
        "token_issuer": "i",
        "token_audience": "a",
        "token_lifetime": "90",
        "refresh_token_idle": "1h",
        "refresh_token_lifetime": "24h",
        "trusted_proxies": "10.0.0.0/8, ::1,unix",
        "public_reflection": "true",
        "socket_group": "proa",
        "socket_mode": "0600",
        "login_socket": "/b.sock",
        "password_min_length": "12",
        "allowed_registries": "docker.io,*.example:5000, [::1]:5000",
        "user_calls_per_second": "5",
        "user_concurrent_calls": "6",
        "user_unread_bytes": "7",
        "user_request_streams": "8",
        "audit_sync": "call",
        "audit_group_delay": "0.05",
        "audit_file_bytes": "100000",
        "audit_kept_files": "3",
        "audit_reserved_bytes": "0",
        "drain_timeout": "1m",
        "log_format": "json",
        "log_level": "debug",
        "grpc_max_message_bytes": "5000000",
        "grpc_max_concurrent_streams": "7",
    }
    tables = {"hosts", "client_certificates", "local_users", "oidc", "policy"}
    assert values.keys() == Settings.model_fields.keys() - tables
    for name, value in values.items():
        monkeypatch.setenv(f"PROA_{name.upper()}", value)
    settings = load_settings(None)
    defaults = Settings()
    for name in values:
        assert getattr(settings, name) != getattr(defaults, name), name
    assert settings.listen == (
        UnixAddress(Path("/a.sock")),
        TcpAddress("127.0.0.1", 1),
        TcpAddress("::1", 2),
    )
    assert settings.trusted_proxies == (ip_network("10.0.0.0/8"), ip_network("::1"), "unix")
    assert settings.token_lifetime == timedelta(seconds=90)
    assert settings.drain_timeout == timedelta(minutes=1)
    assert settings.tls is not None
    assert settings.tls.client_ca_file == pem


@pytest.mark.parametrize("text", ["0s", "0.25s", "61s", "90m", "12345.678s", "2h", "24h"])
def test_duration_in_output_can_be_loaded(monkeypatch, text):
    variable = "drain_timeout" if text.startswith(("0", "61")) else "token_lifetime"
    monkeypatch.setenv(f"PROA_{variable.upper()}", text)
    assert load_settings(None).model_dump(mode="json")[variable] == text


@pytest.mark.parametrize("registry", ["https://me:geheim@host", "host/path", "*.", "a b", "host:p"])
def test_invalid_registries_are_refused_with_the_cause(monkeypatch, registry, refused):
    monkeypatch.setenv("PROA_ALLOWED_REGISTRIES", f"docker.io,{registry}")
    text = refused(None)
    assert 'give "HOST", "HOST:PORT", "*.DOMAIN" or "*"' in text
    assert "geheim" not in text


def test_variables_of_other_programs_are_ignored(monkeypatch):
    monkeypatch.setenv("HOST", "somewhere")
    for name in OTHER_VARIABLES:
        monkeypatch.setenv(name, "somewhere")
    monkeypatch.setenv("LISTEN", "x")
    assert load_settings(None) == Settings()


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("host", ""),
        ("hosts", ""),
        ("listem", "; did you mean PROA_LISTEN?"),
        ("tls_cert_fil", "; did you mean PROA_TLS_CERT_FILE?"),
        ("libvirt_url", "; did you mean PROA_LIBVIRT_URI?"),
    ],
)
def test_unknown_variables_with_the_prefix_are_refused(monkeypatch, name, hint, refused):
    variable = f"PROA_{name.upper()}"
    monkeypatch.setenv(variable, "")
    assert refused(None) == f"{variable}: unknown variable{hint}"


def test_unknown_and_invalid_variables_are_reported_together(monkeypatch, refused):
    monkeypatch.setenv("PROA_" + "LISTENS", "127.0.0.1:1")
    monkeypatch.setenv("PROA_LOG_LEVEL", "loud")
    lines = refused(None).splitlines()
    assert [line.partition(":")[0] for line in lines] == ["PROA_" + "LISTENS", "PROA_LOG_LEVEL"]


def test_variables_in_our_code_are_settings_or_listed():
    root = Path(__file__).parents[3]
    folders = ("client", "server", "tests", "deploy", "docs", ".ci", "protos")
    files = [path for folder in folders for path in (root / folder).rglob("*") if path.is_file()]
    used = set()
    for path in [*files, root / "Makefile", root / "README.md"]:
        with suppress(UnicodeDecodeError):
            # -V: the label of a disk image
            used |= set(re.findall(r"(?<!-V )\bPROA_[A-Z][A-Z_]*[A-Z]\b", path.read_text()))
    assert used - setting_variables() - OTHER_VARIABLES == set()
    elsewhere = {path for path in files if path.name not in {"loading.py", Path(__file__).name}}
    text = "".join(path.read_text(errors="replace") for path in elsewhere)
    text += (root / "Makefile").read_text()
    assert {name for name in OTHER_VARIABLES if name not in text} == set()


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("sqlite:////var/x.db", "sqlite+aiosqlite:////var/x.db"),
        ("sqlite+aiosqlite:////var/x.db", "sqlite+aiosqlite:////var/x.db"),
        ("postgresql://u:p@h:1/d", "postgresql+psycopg://u:p@h:1/d"),
        ("postgres:///d?host=/run", "postgresql+psycopg:///d?host=%2Frun"),
        ("postgresql+psycopg://u@h/d", "postgresql+psycopg://u@h/d"),
    ],
)
def test_database_url_gets_our_driver(monkeypatch, text, url):
    monkeypatch.setenv("PROA_DATABASE_URL", text)
    assert load_settings(None).database_url.get_secret_value() == url


def test_database_url_with_a_relative_path_uses_the_working_folder(monkeypatch):
    monkeypatch.setenv("PROA_DATABASE_URL", "sqlite:///x.db")
    url = load_settings(None).database_url.get_secret_value()
    assert url == f"sqlite+aiosqlite:///{Path.cwd()}/x.db"


def test_database_url_of_a_state_folder_with_odd_letters_is_escaped(monkeypatch):
    monkeypatch.setenv("PROA_STATE_DIR", "/tmp/ä?b#c%20 d")
    url = load_settings(None).database_url.get_secret_value()
    assert make_url(url).database == "/tmp/ä?b#c%20 d/proa.db"


@pytest.mark.parametrize(
    "url", ["mysql://u:geheim@h/d", "nonsense geheim", "sqlite://", "sqlite:///:memory:"]
)
def test_database_url_of_another_database_is_refused_without_its_password(
    monkeypatch, url, refused
):
    monkeypatch.setenv("PROA_DATABASE_URL", url)
    text = refused(None)
    assert text.startswith("PROA_DATABASE_URL: ")
    assert "geheim" not in text


def test_repr_of_settings_hides_the_password_of_the_database():
    settings = Settings.model_validate({"database_url": "postgresql://me:geheim@h/d"})
    assert "geheim" not in repr(settings)
    assert "geheim" not in str(settings.model_dump(mode="json"))


@pytest.mark.parametrize(
    "url",
    [
        "geheim",
        "me:geheim@host",
        "tcp://me:geheim/x@host",
        "tcp://me:geheim#x@host",
        "ssh://me:geheim?x@host",
        "ssh://me:ge heim@host",
        "ssh://me:'geheim@host",
        'ssh://me:geheim"@host',
        "ssh://me:geheim\\@host",
        "ssh://me:gehéim@host",
        "ssh://me:1\ngeheim@host",
        "ssh://[geheim",
    ],
)
@pytest.mark.parametrize("key", ["docker_url", "libvirt_uri"])
def test_unreadable_engine_url_is_refused_without_showing_it(write, monkeypatch, key, url, refused):
    monkeypatch.setenv(f"PROA_{key.upper()}", url)
    assert "heim" not in refused(None)
    monkeypatch.delenv(f"PROA_{key.upper()}")
    assert "heim" not in refused(write(f"[[host]]\n{key} = {json.dumps(url)}\n"))


def test_repr_of_settings_hides_credentials_in_urls(monkeypatch):
    monkeypatch.setenv("PROA_DOCKER_URL", "ssh://me:geheim%2F@h:22")
    monkeypatch.setenv("PROA_LIBVIRT_URI", "qemu+ssh://h/system?keyfile=/k&secret=geheim")
    monkeypatch.setenv("PROA_DATABASE_URL", "postgresql://me:geheim@h/d?sslpassword=geheim")
    settings = load_settings(None)
    for shown in (repr(settings), str(settings), str(settings.model_dump(mode="json"))):
        assert "geheim" not in shown
        assert "qemu+ssh://h/system?keyfile=/k&secret=***" in shown
    (host,) = settings.hosts
    assert host.docker_url is not None
    assert host.docker_url.get_secret_value() == "ssh://me:geheim%2F@h:22"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("state_dirr = 'x'", "state_dirr: unknown key"),
        ("hosts = []", "hosts: unknown key"),
        ("[[host]]\ndocker = 'x'", "host.0.docker: unknown key"),
        ("host = 1", "host: "),
        ("host = []", "host: "),
        (
            2 * "[[host]]\nname = 'a'\ndocker_url = 'tcp://a'\n",
            "host: two hosts have the same name: a",
        ),
        ("[[host]]\nname = ''", "host.0.name: "),
        ("[[host]]\ndocker_url = 'local'", "host.0.docker_url: "),
        ("[[host]]\nvirt_type = 'xen'", "host.0.virt_type: "),
        ("allowed_registries = ['http://a.b']", "allowed_registries.0: "),
        ("allowed_registries = 'a.b, a/b'", "allowed_registries.1: "),
        ("listen = []", "listen: "),
        ("listen = 1", "listen: "),
        ("listen = [1]", "listen"),
        ("listen = '0.0.0.0:1'", "TLS"),
        ("listen = ['unix:/a', '[::]:1']", "[::]:1 can be reached"),
        ("token_lifetime = 0", "token_lifetime: "),
        ("token_lifetime = '25h'", "token_lifetime: "),
        ("token_lifetime = 'soon'", "token_lifetime: "),
        ("trusted_proxies = 1", "trusted_proxies: give a network"),
        ("trusted_proxies = ['proxy.example']", "'proxy.example' is no address"),
        ("trusted_proxies = '10.0.0.1/8'", "'10.0.0.1/8' is no address"),
        ("trusted_proxies = [1]", "1 is no address"),
        ("tls_cert_file = '/nowhere'", "tls_cert_file: "),
        ("tls_cert_file = '/etc/passwd'", "go together"),
        ("tls_client_ca_file = '/etc/passwd'", "tls_client_ca_file needs"),
        ("grpc_max_message_bytes = 1", "grpc_max_message_bytes: "),
        ("log_level = 'loud'", "log_level: "),
        ("a = ", "not TOML"),
    ],
)
def test_config_error_names_file_and_key(write, text, expected, refused):
    config = write(text)
    message = refused(config)
    assert message.startswith(f"{config}: ")
    assert expected in message


def test_config_error_has_a_line_per_mistake(write, monkeypatch, refused):
    monkeypatch.setenv("PROA_LISTEN", "nonsense")
    lines = refused(write("state_dir = 1\nlog_level = 'loud'\nx = 1")).splitlines()
    assert len(lines) == 4
    assert [line for line in lines if line.startswith("PROA_LISTEN: ")]


def test_load_settings_of_a_missing_file_raises_config_error(tmp_path, refused):
    assert "No such file" in refused(tmp_path / "none.toml")
    assert "Is a directory" in refused(tmp_path)


def test_load_settings_of_a_file_that_is_not_utf_8_raises_config_error(tmp_path, refused):
    path = tmp_path / "x.toml"
    path.write_bytes(b"\xff")
    assert "not TOML" in refused(path)


def test_open_address_with_tls_is_accepted(tmp_path):
    pem = tmp_path / "x.pem"
    pem.touch()
    settings = Settings.model_validate(
        {"listen": "0.0.0.0:1", "tls_cert_file": pem, "tls_key_file": pem}
    )
    assert settings.tls is not None
    assert settings.tls.cert_file == pem


def test_example_has_the_defaults(monkeypatch, write):
    monkeypatch.setattr("os.geteuid", lambda: 0)
    lines = re.sub(r"(?m)^# (?=\[{0,2}[a-z_]+(\]{1,2}| = ))", "", example())
    values = tomllib.loads(lines)
    tables = {"hosts", "client_certificates", "local_users", "oidc"}
    assert values.keys() == (Settings.model_fields.keys() | {"host"}) - tables
    (host,) = values["host"]
    assert host.keys() == type(DEFAULT_HOST).model_fields.keys()
    assert values["policy"].keys() == Profile.model_fields.keys()
    off = ("/etc/proa", "login_socket")
    without = "\n".join(
        line for line in lines.splitlines() if not any(each in line for each in off)
    )
    assert load_settings(write(without)) == Settings()
    assert load_settings(write(example())) == Settings()


def test_client_certificate_where_no_certificate_is_shown_is_refused(tmp_path):
    pem = tmp_path / "x.pem"
    pem.touch()
    table = {"san": "dns:a.example", "user": "ann", "listen": "127.0.0.1:1"}
    values: dict[str, Any] = {
        "state_dir": tmp_path,
        "listen": "127.0.0.1:1,127.0.0.1:2",
        "tls_cert_file": pem,
        "tls_key_file": pem,
        "tls_client_ca_file": pem,
        "client_certificate": [table],
    }

    assert Settings(**values).client_certificates[0].is_for("127.0.0.1:1")
    with pytest.raises(ValidationError, match=r"no certificate at 127\.0\.0\.1:1"):
        Settings(**values | {"tls_client_listen": "127.0.0.1:2"})
