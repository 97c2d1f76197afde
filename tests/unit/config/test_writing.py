"""Settings that are written as a file, and read again."""

import pytest

from proad.config import as_toml, load_settings

FILES = [
    "",
    "allowed_registries = ['registry.example']",
    """
    state_dir = '/var/"lib"/\\proa'
    listen = ["127.0.0.1:1", "[::1]:2", "unix:/run/proa.sock"]
    login_socket = "/run/login.sock"
    token_lifetime = "90s"
    trusted_proxies = ["10.0.0.0/8", "unix"]
    tls_cert_file = "/etc/passwd"
    tls_key_file = "/etc/passwd"
    tls_client_ca_file = "/etc/passwd"
    tls_client_listen = "[::1]:2"
    [[local_user]]
    uid = 33
    user = "backend"
    scopes = ["basic", "audit", "advanced"]
    [[client_certificate]]
    san = "dns:app.example"
    user = "app"
    listen = "[::1]:2"
    [[host]]
    name = "far"
    docker_url = "tcp://far:2376"
    [oidc]
    issuer = "https://issuer.example"
    audience = "proa"
    jwks_url = "https://issuer.example/keys"
    [[oidc.rule]]
    claim = "groups"
    value = "crew"
    scopes = ["basic"]
    [[oidc.rule]]
    claim = "groups"
    value = "ops"
    scopes = ["basic", "advanced"]
    profile = "ci.small"
    [policy]
    max_cpus = 1.5
    bind_roots = ["/srv"]
    max_ulimits = { nofile = 1024 }
    publish_addresses = ["0.0.0.0/0"]
    default_publish_address = "0.0.0.0"
    [policy.profiles."ci.small"]
    bind_roots = ["/srv"]
    max_cpus = 0.5
    """,
]


@pytest.mark.parametrize("text", FILES)
def test_written_settings_read_again_are_the_same(write, text):
    settings = load_settings(write(text))
    written = as_toml(settings)
    again = load_settings(write(written))
    assert as_toml(again) == written
    assert again.policy.effective() == settings.policy.effective()
    fields = [each for each in type(settings).model_fields if each != "policy"]
    differing = [each for each in fields if getattr(again, each) != getattr(settings, each)]
    assert differing in ([], ["allowed_registries"])


def test_written_settings_have_no_credentials(write, monkeypatch):
    monkeypatch.setenv("PROA_DATABASE_URL", "postgresql://me:geheim@h/d")
    monkeypatch.setenv("PROA_DOCKER_URL", "ssh://me:geheim@h")
    assert "geheim" not in as_toml(load_settings(None))
