"""The room for files on their way: whose it is, and what it leaves of the disk."""

import os

import pytest

from proad.drivers.docker.archive.room import FOLDER, Room
from proad.errors import HostExhaustedError


class Users:
    """Who calls."""

    def __init__(self) -> None:
        self.now = "ann"

    def __call__(self) -> str:
        return self.now


def test_user_leaves_room_for_others():
    users = Users()
    room = Room(16, user=users, free=lambda: 100)
    first, again = room.share(), room.share()
    first.take(5)
    again.take(3)
    with pytest.raises(HostExhaustedError):
        again.take(1)

    users.now = "bob"
    other = room.share()
    other.check(4)
    other.take(4)
    with pytest.raises(HostExhaustedError):
        other.check(1)

    first.give_back()
    first.give_back()
    other.take(2)


def test_disk_is_never_filled():
    free = 4
    room = Room(100, free=lambda: free)
    share = room.share()
    share.take(4)
    free = -1
    with pytest.raises(HostExhaustedError, match="disk has 0 bytes"):
        share.take(1)
    share.check(0)


def test_part_of_the_disk_is_left_to_others():
    disk = os.statvfs(FOLDER)
    room = Room(2**62)
    with pytest.raises(HostExhaustedError, match="disk"):
        room.share().check(disk.f_bavail * disk.f_frsize)
