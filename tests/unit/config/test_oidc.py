import tomllib
from typing import Any

import pytest

from proad.config import (
    OidcRule,
    OidcSettings,
    Settings,
    example,
    load_settings,
)


def test_example_of_an_issuer_has_every_setting_and_its_default(write):
    lines = [line.removeprefix("#   ") for line in example().splitlines() if line[:4] == "#   "]
    text = "\n".join(lines[lines.index("[oidc]") :])
    table = tomllib.loads(text)["oidc"]
    fields = OidcSettings.model_fields.keys() - {"rules", "jwks_file"}
    assert table.keys() == fields | {"rule"}
    assert table["rule"][0].keys() == OidcRule.model_fields.keys()
    settings = load_settings(write(text)).oidc
    assert settings is not None
    least = {name: table[name] for name in ("issuer", "audience", "jwks_url", "jwks_ca_file")}
    rule = {name: table["rule"][0][name] for name in ("claim", "value", "scopes")}
    assert settings == OidcSettings.model_validate({**least, "rule": [rule]})


RULE: dict[str, Any] = {"claim": "groups", "value": "x", "scopes": ["basic"]}
ISSUER: dict[str, Any] = {
    "issuer": "https://login.example",
    "audience": "proa",
    "jwks_url": "https://login.example/certs",
    "rule": [RULE],
}


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"jwks_url": None}, "jwks_url or jwks_file"),
        ({"jwks_file": "/x"}, "jwks_url or jwks_file"),
        ({"jwks_url": "http://login.example/certs"}, "must begin with https"),
        ({"jwks_url": "http://127.0.0.1.example/certs"}, "must begin with https"),
        ({"jwks_url": "file:///etc/passwd"}, "give an address"),
        ({"jwks_url": "ftp://login.example/certs"}, "must begin with https"),
        ({"jwks_url": "https://user:pw@login.example/certs"}, "give an address"),
        ({"jwks_url": "https://"}, "give an address"),
        ({"algorithms": ["HS256"]}, "algorithms"),
        ({"algorithms": ["none"]}, "algorithms"),
        ({"algorithms": []}, "algorithms"),
        ({"issuer": ""}, "issuer"),
        ({"audience": ""}, "audience"),
        ({"rule": []}, "rule"),
        ({"rule": [{"claim": "groups", "value": "x", "scopes": []}]}, "scopes"),
        ({"rule": [{**RULE, "profile": "none"}]}, "the policy has no profile none"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_issuer_with_a_mistake_is_refused(changed, what):
    table = {name: value for name, value in {**ISSUER, **changed}.items() if value is not None}
    with pytest.raises(ValueError, match=what):
        Settings.model_validate({"oidc": table})


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080/certs", "http://[::1]/certs", "http://localhost/certs"]
)
def test_issuer_on_loopback_needs_no_tls(url):
    assert Settings.model_validate({"oidc": {**ISSUER, "jwks_url": url}}).oidc is not None
