"""A configuration that no variable of this machine reaches, and how it is refused."""

import os

import pytest

from proad.config import ConfigError, load_settings


@pytest.fixture(autouse=True)
def _clean(monkeypatch, tmp_path):
    for variable in [name for name in os.environ if name.startswith("PROA_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "proa.toml"
        path.write_text(text)
        return path

    return write


@pytest.fixture
def refused():
    def refused(config):
        with pytest.raises(ConfigError) as caught:
            load_settings(config)
        return str(caught.value)

    return refused
