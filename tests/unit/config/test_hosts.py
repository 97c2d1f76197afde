"""Hosts, from a file and from the variables of the local one."""

from pathlib import Path

from proad.config import SecretUrl, load_settings


def test_hosts_of_a_file_are_loaded(write):
    config = write(
        """
        [[host]]
        name = "left"
        docker_url = "tcp://left:2376"
        docker_tls_dir = "/etc/docker"
        [[host]]
        name = "right"
        libvirt_uri = "qemu+tls://right/system"
        virt_type = "kvm"
        libvirt_pool = "fast"
        libvirt_pool_path = "/fast"
        media_dirs = ["/iso", "~/iso"]
        """
    )
    left, right = load_settings(config).hosts
    assert (left.name, left.docker_url, left.libvirt_uri) == (
        "left",
        SecretUrl("tcp://left:2376"),
        None,
    )
    assert left.docker_tls_dir == Path("/etc/docker")
    assert (right.docker_url, right.libvirt_uri) == (None, SecretUrl("qemu+tls://right/system"))
    assert (right.virt_type, right.libvirt_pool) == ("kvm", "fast")
    assert right.libvirt_pool_path == Path("/fast")
    assert right.media_dirs == (Path("/iso"), Path.home() / "iso")
    assert left.media_dirs == (Path("/srv"),)


def test_variables_override_the_local_host(write, monkeypatch):
    monkeypatch.setenv("PROA_DOCKER_URL", "")
    monkeypatch.setenv("PROA_VIRT_TYPE", "qemu")
    monkeypatch.setenv("PROA_MEDIA_DIRS", "/iso, /more")
    (host,) = load_settings(None).hosts
    assert host.media_dirs == (Path("/iso"), Path("/more"))
    assert (host.docker_url, host.libvirt_uri) == (None, SecretUrl("qemu:///system"))
    assert host.virt_type == "qemu"

    monkeypatch.setenv("PROA_VIRT_TYPE", "")
    monkeypatch.setenv("PROA_MEDIA_DIRS", "")
    monkeypatch.setenv("PROA_LIBVIRT_URI", "test:///default")
    tables = """
        [[host]]
        libvirt_uri = "qemu:///session"
        [[host]]
        name = "other"
        docker_url = "tcp://other:2376"
        """
    local, other = load_settings(write(tables)).hosts
    assert (local.name, local.libvirt_uri) == ("local", SecretUrl("test:///default"))
    assert (other.name, other.libvirt_uri) == ("other", None)
    assert (local.virt_type, local.media_dirs) == ("auto", ())


def test_variables_without_a_local_host_are_refused(write, monkeypatch, refused):
    monkeypatch.setenv("PROA_LIBVIRT_URI", "test:///default")
    text = refused(write('[[host]]\nname = "other"\nlibvirt_uri = "qemu:///system"\n'))
    assert text.startswith("PROA_LIBVIRT_URI: ")


def test_invalid_hosts_are_not_reported_as_missing(write, refused):
    assert len(refused(write('[[host]]\nvirt_type = "xen"\n')).splitlines()) == 1
    assert "at least 1" in refused(write("host = []\n"))


def test_host_without_an_engine_is_refused(write, monkeypatch, refused):
    text = refused(write('[[host]]\nname = "other"\nlibvirt_uri = ""\n'))
    assert text.endswith("host.0: 'other' has no engine: set docker_url, libvirt_uri or both")
    for variable in ("PROA_DOCKER_URL", "PROA_LIBVIRT_URI"):
        monkeypatch.setenv(variable, "")
    assert "'local' has no engine" in refused(None)
