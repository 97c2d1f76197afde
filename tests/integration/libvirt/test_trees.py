"""Directories that are copied into a real guest and out of it."""

import asyncio
from pathlib import Path

import pytest

import proa
from integration.libvirt.conftest import TIMING, URI
from integration.libvirt.guests import Guests
from integration.libvirt.test_commands import sh
from integration.trees import LARGE, as_ann, content, serving, told, tree_in
from proad.drivers.libvirt import LibvirtDriver

pytestmark = pytest.mark.libvirt


async def test_tree_comes_back_from_a_guest_as_it_went(
    driver: LibvirtDriver, guests: Guests, folder: Path, tmp_path: Path
):
    guest, tree = await guests.boot(), tree_in(tmp_path)
    own = LibvirtDriver(URI, default_pool=folder.name, default_pool_path=str(folder), timing=TIMING)

    def copy(client: proa.Client) -> dict[str, str]:
        assert not told(client.upload_tree(tree, guest.id, "/srv-of-test"))
        assert not told(client.download_tree(guest.id, "/srv-of-test", tmp_path / "back"))
        return told(client.download_tree(guest.id, "/d", tmp_path / "odd"))

    await sh(driver, guest.id, r"mkdir /d; cd /d; ln -s / up; touch $'\n' $'\xff'; mkfifo pipe")
    async with serving(own, tmp_path) as daemon:
        found = await asyncio.to_thread(as_ann, daemon, copy)
    assert content(tmp_path / "back") == content(tree)
    said = await sh(driver, guest.id, "cd /srv-of-test && stat -c '%a %s' a/large empty")
    assert said.decode().splitlines()[0] == f"644 {LARGE}"
    assert found == {
        "up": "a symbolic link",
        "pipe": "a pipe",
        "\n": "its name has control characters",
        "\ufffd": "its name is no text",
    }
    assert not list((tmp_path / "odd").iterdir())
