"""What guests say, within bounds."""

from datetime import UTC, datetime

from proad.core.guest_info import bounded
from proad.model import GuestInfo, GuestInterface, GuestUser, OperatingSystem

MAC = "52:54:00:00:00:01"


def interface(*addresses, mac=MAC, name="eth0"):
    return GuestInterface(name=name, mac_address=mac, addresses=addresses)


def addresses_of(*told):
    (found,) = bounded(GuestInfo(interfaces=(interface(*told),))).interfaces
    return [*found.addresses]


def test_honest_answer_stays_as_it_is():
    info = GuestInfo(
        hostname="web-1.example",
        operating_system=OperatingSystem(id="debian", name="Débian 12", kernel_release="6.1"),
        interfaces=(interface("192.168.122.7/24", "fe80::1/64"),),
        users=(GuestUser(name="ann", domain="", login_time=datetime.now(UTC)),),
        user_count=1,
        agent_answered=True,
        observe_time=datetime.now(UTC),
    )
    assert bounded(info) == info


def test_long_texts_are_cut_and_that_is_told():
    long = "x" * 1000
    system = OperatingSystem(id=long, name=long, kernel_version=long)
    users = (GuestUser(name=long, domain=long),)
    told = GuestInfo(
        hostname=long,
        operating_system=system,
        interfaces=(interface(name=long),),
        users=users,
        user_count=2**70,
    )
    info = bounded(told)
    assert info.shortened
    assert info.operating_system is not None
    assert {len(info.hostname), len(info.operating_system.name)} == {255}
    (user,) = info.users
    assert [len(user.name), len(user.domain), len(info.interfaces[0].name)] == [64, 64, 64]
    assert info.user_count == 2**31 - 1


def test_numbers_of_items_are_cut_and_that_is_told():
    many = tuple(f"10.0.{n // 250}.{n % 250}" for n in range(4000))
    told = GuestInfo(
        interfaces=tuple(interface(*many) for _ in range(4000)),
        users=tuple(GuestUser(name=str(n)) for n in range(4000)),
        user_count=4000,
    )
    info = bounded(told)
    assert info.shortened
    assert len(info.interfaces) == 16
    assert {len(each.addresses) for each in info.interfaces} == {8}
    assert len(info.users) == 32
    assert info.user_count == 4000
    # Of what is left out anyway, no more is looked at than so much.
    assert bounded(GuestInfo(interfaces=(interface(mac=""),) * 4000)).shortened


def test_what_steers_a_terminal_is_replaced():
    hostile = "\x1b]0;gotcha\x07\r\n\x9b31m\u202etxt.exe\t\u2028"
    told = GuestInfo(
        hostname=hostile,
        operating_system=OperatingSystem(name=hostile),
        interfaces=(interface(name=hostile),),
        users=(GuestUser(name=hostile, domain=hostile),),
    )
    info = bounded(told)
    assert info.operating_system is not None
    for text in (
        info.hostname,
        info.operating_system.name,
        info.interfaces[0].name,
        info.users[0].name,
        info.users[0].domain,
    ):
        assert text.replace("\ufffd", "").isprintable()
    assert not info.shortened


def test_addresses_are_addresses():
    assert addresses_of("10.0.0.1", "10.0.0.2/8", "::2", "fe80::1%eth0/64", "FE80::A/64") == [
        "10.0.0.1",
        "10.0.0.2/8",
        "::2",
        "fe80::1/64",
        "fe80::a/64",
    ]
    wrong = ("", "x", "10.0.0.256", "10.0.0.1/33", "10.0.0.1/x", "10.0.0.1/-1", "/", "1" * 5000)
    assert addresses_of(*wrong, "127.0.0.1/8", "::1/128", "10.0.0.1/" + "9" * 5000) == []


def test_interface_without_any_address_is_left_out():
    told = (
        interface("127.0.0.1/8", mac="00:00:00:00:00:00", name="lo"),
        interface("10.8.0.1/24", mac="", name="tun0"),
        interface(mac="junk\x1b", name="x"),
        interface(mac=MAC.upper()),
    )
    assert bounded(GuestInfo(interfaces=told)).interfaces == (
        interface("10.8.0.1/24", mac="", name="tun0"),
        interface(mac=MAC),
    )


def test_system_and_user_without_a_name_are_left_out():
    told = GuestInfo(operating_system=OperatingSystem(), users=(GuestUser(name=""),), user_count=1)
    assert bounded(told) == GuestInfo(user_count=1)
