from dataclasses import replace
from datetime import UTC, datetime

import pytest

from proad.drivers.records import LocalVolumeRecords
from proad.model import DiskFormat
from proad.ports.records import FileIdentity, Layer, RecordState, VolumeRecord
from proad.store.volumes import VolumeStore

PLANNED = VolumeRecord(
    id="11111111-1111-1111-1111-111111111111",
    state=RecordState.PLANNED,
    owner="22222222-2222-2222-2222-222222222222",
    pool="p",
    name="v",
    format=DiskFormat.QCOW2,
    base_chain=(
        Layer(path="/a b/ö", format=DiskFormat.RAW),
        Layer(path="/c", format=DiskFormat.QCOW2),
    ),
    create_time=datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
)
MADE = replace(
    PLANNED,
    state=RecordState.OWNED,
    path="/p/v",
    key="/p/v",
    # As large as the kernel has them
    file=FileIdentity(device=2**64 - 1, inode=2**64 - 2, birth_time_ns=1_795_647_893_693_842_696),
)
OTHER = replace(MADE, id="33333333-3333-3333-3333-333333333333", owner="", file=None)


@pytest.fixture(params=["store", "memory", "file"])
def records(request, tmp_path, database):
    if request.param == "store":
        return VolumeStore(database)
    return LocalVolumeRecords(tmp_path / "records.json" if request.param == "file" else None)


async def test_list_after_put_returns_the_record(records):
    await records.put("here", PLANNED)
    assert await records.list("here") == [PLANNED]


async def test_put_again_replaces_the_record(records):
    await records.put("here", PLANNED)
    await records.put("here", OTHER)
    await records.put("here", MADE)
    assert {each.id: each for each in await records.list("here")} == {
        MADE.id: MADE,
        OTHER.id: OTHER,
    }


async def test_list_of_another_engine_excludes_the_record(records):
    await records.put("here", MADE)
    assert await records.list("there") == []
    await records.remove("there", [MADE.id])
    assert await records.list("here") == [MADE]


async def test_list_after_remove_excludes_the_record(records):
    await records.put("here", MADE)
    await records.put("here", OTHER)
    await records.remove("here", [MADE.id, "never there"])
    assert await records.list("here") == [OTHER]


async def test_record_outlives_the_process(tmp_path):
    file = tmp_path / "records.json"
    await LocalVolumeRecords(file).put("here", MADE)
    assert await LocalVolumeRecords(file).list("here") == [MADE]


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ({}, True),
        ({"device": 9}, True),  # it may be numbered anew at a reboot
        ({"inode": 9}, False),
        ({"birth_time_ns": 9}, False),
        ({"birth_time_ns": None}, True),
        ({"birth_time_ns": None, "device": 9}, False),
        ({"birth_time_ns": None, "inode": 9}, False),
    ],
)
def test_file_identity_is_same_compares_all_fields(other, same):
    file = FileIdentity(device=1, inode=2, birth_time_ns=3)
    assert file.is_same(replace(file, **other)) is same
