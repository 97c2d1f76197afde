"""Paths of the host, opened component by component."""

import asyncio
import threading
from pathlib import Path

import pytest

from proad.config import Settings
from proad.config.protected_paths import protected_paths
from proad.core.host_paths import HostPathReader, walked
from proad.policy.containers import Walk


def test_walk_of_a_folder_has_a_step_for_each_component(tmp_path):
    found = walked(str(tmp_path))
    status = tmp_path.stat()
    assert (found.walk, found.target) == (Walk.WHOLE, (status.st_dev, status.st_ino))
    assert len(found.steps) == len(tmp_path.parts)
    assert found.folders == tuple(step.identity for step in found.steps[:-1])


def test_walk_ends_at_a_link_and_tells_what_it_leads_to(tmp_path):
    (tmp_path / "real" / "inner").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")
    found = walked(str(tmp_path / "link" / "inner"))
    assert found.walk is Walk.LINK
    assert found.target == walked(str(tmp_path / "real" / "inner")).target
    assert walked(str(tmp_path / "real")).target in found.folders


def test_walk_to_what_is_not_there_keeps_the_folders(tmp_path):
    found = walked(str(tmp_path / "not" / "there"))
    assert (found.walk, found.target) == (Walk.MISSING, None)
    assert walked(str(tmp_path)).target in found.folders
    (tmp_path / "file").touch()
    assert walked(str(tmp_path / "file" / "below")).walk is Walk.MISSING


def test_walk_in_a_circle_of_links_ends_at_the_first(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert walked(str(tmp_path / "a")).walk is Walk.LINK


def test_walk_leaves_no_descriptor_open(tmp_path):
    before = len([*Path("/proc/self/fd").iterdir()])
    for name in ("", "not", "not/there"):
        walked(str(tmp_path / name))
    assert len([*Path("/proc/self/fd").iterdir()]) == before


async def test_paths_of_which_one_hangs_are_all_unreadable_and_delay_no_others(tmp_path):
    held, path = threading.Event(), str(tmp_path)

    def look(path):
        if path == "/hung":
            held.wait()
        return walked(path)

    patient = HostPathReader(look=look)
    reader = HostPathReader(within=0.1, at_once=1, look=look)
    try:
        hung = await reader.read([path, "/hung"])
        assert {each.walk for each in hung.values()} == {Walk.UNREADABLE}
        # Its place is taken until the file system answers.
        assert (await reader.read([path]))[path].walk is Walk.UNREADABLE
        waiting = asyncio.create_task(patient.read(["/hung"]))
        assert (await patient.read([path]))[path].walk is Walk.WHOLE
    finally:
        held.set()
    await waiting


@pytest.mark.parametrize(
    ("setting", "path"),
    [
        ({"state_dir": "/srv/state"}, "/srv/state"),
        ({"listen": ["unix:/srv/run/proa.sock"]}, "/srv/run/proa.sock"),
        ({"database_url": "sqlite:////srv/db/proa.db"}, "/srv/db/proa.db"),
        ({"host": [{"docker_url": "unix:///srv/docker.sock"}]}, "/srv/docker.sock"),
        ({"host": [{"libvirt_uri": "qemu:///system?socket=/srv/v.sock"}]}, "/srv/v.sock"),
        ({}, "/run/docker.sock"),
        ({}, "/var/lib/libvirt"),
    ],
)
def test_protected_paths_follow_the_settings(setting, path):
    assert path in protected_paths(Settings(**setting))
