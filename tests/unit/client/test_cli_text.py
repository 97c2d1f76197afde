"""How people write and read values on the command line."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import grpc
import pytest
import typer

import proa
from proa import v1
from proa.cli import exits, run_options, vm_options
from proa.cli.text import age, duration, escaped, human_size, one_of, pairs, size, words
from proa.errors import Details
from unit.client.test_cli_hostile import COMMANDS
from unit.client.typing_commands import parse


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("0", 0),
        ("1048576", 2**20),
        ("512MiB", 2**29),
        ("512M", 2**29),
        ("512mb", 2**29),
        ("2G", 2**31),
        ("1.5g", 3 * 2**29),
        ("1 TiB", 2**40),
        ("10b", 10),
        ("4k", 4096),
    ],
)
def test_size_parses_units(text, count):
    assert size(text) == count


@pytest.mark.parametrize("text", ["", "G", "-1", "1X", "1GG", "1,5G", "1e3", "ten"])
def test_size_of_another_text_is_refused(text):
    with pytest.raises(typer.BadParameter, match="is no size"):
        size(text)


@pytest.mark.parametrize("text", ["8388608T", "99999999999G", "9" * 400])
def test_size_beyond_the_contract_is_refused(text):
    with pytest.raises(typer.BadParameter, match="is more than can be asked for"):
        size(text)


@pytest.mark.parametrize("text", ["876001h", "99999999999999h", f"{'9' * 400}s"])
def test_duration_beyond_the_contract_is_refused(text):
    with pytest.raises(typer.BadParameter, match="is more than can be asked for"):
        duration(text)


NUMBERS = [
    (command, argv, max(option.opts, key=len))
    for command, argv in COMMANDS.items()
    for option in parse([*command.split(), *argv]).command.params
    if option.param_type_name == "option" and option.type_descriptor.annotation is int
]

SIZES = {"--memory", "--memory-swap", "--memory-reservation", "--shm-size", "--size"}


@pytest.mark.parametrize(("command", "argv", "option"), NUMBERS)
def test_number_beyond_the_contract_names_its_option(command, argv, option):
    numbers = ["-5", "99999999999999999999"] + ["2147483648"] * (option not in SIZES)
    for number in numbers:
        other = [word for before, word in pairwise(("", *argv)) if option not in {before, word}]
        with pytest.raises(typer.BadParameter) as caught:
            parse([*command.split(), option, number, *other])
        assert option in caught.value.format_message()


def test_pids_limit_of_minus_one_means_no_limit():
    for command in ("run --pids-limit -1 img", "update web --pids-limit -1"):
        assert parse(command.split()).params["pids_limit"] == -1


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("30", 30), ("1m", 60), ("1m30s", 90), ("1h", 3600), ("0.5s", 0.5), ("0", 0)],
)
def test_duration_parses_units(text, seconds):
    assert duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "s", "-1s", "1d", "1s1m", "soon"])
def test_duration_of_another_text_is_refused(text):
    with pytest.raises(typer.BadParameter, match="is no duration"):
        duration(text)


def test_one_of_parses_the_words_of_an_enum():
    assert words(v1.StopMode) == "graceful|graceful-then-force|force|save"
    assert one_of(v1.StopMode)("graceful-then-force") == v1.STOP_MODE_GRACEFUL_THEN_FORCE
    with pytest.raises(typer.BadParameter, match="none of graceful"):
        one_of(v1.StopMode)("unspecified")


def test_words_lists_the_values_that_can_be_set():
    assert words(v1.DiskBus) == "virtio|sata|scsi"
    with pytest.raises(typer.BadParameter, match="none of virtio, sata, scsi"):
        one_of(v1.DiskBus)("ide")


def test_pairs_parses_keys_and_values():
    assert pairs(["a=b", "c=d=e", "f"]) == {"a": "b", "c": "d=e", "f": ""}
    assert pairs(None) == {}


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (1023, "1023 B"), (2**20, "1 MiB"), (3 * 2**29, "1.5 GiB"), (2**41, "2 TiB")],
)
def test_human_size_formats_bytes(count, text):
    assert human_size(count) == text


def test_age_formats_the_time_passed():
    now = datetime.now(UTC)
    assert age(now - timedelta(hours=3, minutes=5)) == "3 hours"
    assert age(now - timedelta(days=1)) == "1 day"
    assert age(now + timedelta(hours=1)) == "0 s"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, ünï, 日本, 🙂", "plain, ünï, 日本, 🙂"),
        ("a\x1b[2Jb\rc\nd\te", r"a\x1b[2Jb\rc\nd\te"),
        ("\x00\x7f\x80\x9b", r"\x00\x7f\x80\x9b"),
        ("\u202exe.\u2066\u2069\u200e\u200f\u061c", r"\u202exe.\u2066\u2069\u200e\u200f\u061c"),
        ("\ud800\udcff", r"\ud800\udcff"),
        ("\u2028\u2029\u200b\u00a0\U000e0041", r"\u2028\u2029\u200b\xa0\U000e0041"),
    ],
)
def test_escaped_text_is_printable(text, shown):
    assert escaped(text) == shown


def test_escaped_document_keeps_line_ends():
    assert escaped("<a>\n\t\x1b\r\n</a>\n", keep="\n\t") == "<a>\n\t\\x1b\\r\n</a>\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("80", {"container_port": 80}),
        ("8080:80", {"container_port": 80, "host_port": 8080}),
        ("127.0.0.1:8080:80/udp", {"host_port": 8080, "host_ip": "127.0.0.1", "protocol": 2}),
        ("127.0.0.1::80", {"container_port": 80, "host_ip": "127.0.0.1"}),
        ("[::1]:8080:80", {"host_port": 8080, "host_ip": "::1"}),
    ],
)
def test_port_parses_the_notation_of_docker(text, expected):
    made = run_options.port(text)
    whole = v1.PublishedPort(**{"container_port": 80, "protocol": 1, **expected})
    assert made == whole


def test_volume_and_mount_parse_the_notation_of_docker():
    bind = v1.Mount(target="/data", read_only=True, bind=v1.BindMount(source="/srv"))
    assert run_options.volume("/srv:/data:ro") == bind
    assert run_options.mount("type=bind,src=/srv,dst=/data,readonly") == bind
    named = v1.Mount(target="/data", volume=v1.VolumeMount(name="v"))
    assert run_options.volume("v:/data") == named
    assert run_options.mount("source=v,target=/data") == named
    assert run_options.volume("/data") == v1.Mount(target="/data", volume=v1.VolumeMount())
    memory = v1.Mount(target="/run", tmpfs=v1.TmpfsMount(size_bytes=2**20, mode=0o1777))
    assert run_options.tmpfs("/run:size=1m,mode=1777") == memory
    assert run_options.mount("type=tmpfs,target=/run,tmpfs-size=1m,tmpfs-mode=1777") == memory


def test_run_options_parse_the_notation_of_docker():
    assert run_options.device("/dev/dri") == v1.Device(host_path="/dev/dri")
    assert run_options.device("/dev/a:rw") == v1.Device(host_path="/dev/a", permissions="rw")
    assert run_options.device("/dev/a:/dev/b:r") == v1.Device(
        host_path="/dev/a", container_path="/dev/b", permissions="r"
    )
    assert run_options.restart("on-failure:3") == v1.RestartPolicy(
        mode=v1.RESTART_POLICY_MODE_ON_FAILURE, max_retries=3
    )
    assert run_options.ulimit("core=-1") == v1.Ulimit(name="core", soft=-1, hard=-1)
    assert run_options.network("name=web,alias=a,alias=b,ip=10.0.0.2") == v1.NetworkAttachment(
        network="web", aliases=["a", "b"], ipv4_address="10.0.0.2"
    )
    assert run_options.hosts(["db:::1"]) == {"db": "::1"}


def test_vm_options_parse_their_notation():
    assert vm_options.disk("10G").new_volume == v1.NewDisk(capacity_bytes=10 * 2**30)
    made = vm_options.disk("base=golden/w11.qcow2,size=64G,pool=fast,bus=sata,ro")
    base = v1.VolumeRef(pool="golden", name="w11.qcow2")
    new = v1.NewDisk(base=base, capacity_bytes=64 * 2**30, pool="fast")
    assert made == v1.DiskSpec(new_volume=new, bus=v1.DISK_BUS_SATA, read_only=True)
    base.format = v1.DISK_FORMAT_RAW
    made = vm_options.disk("base=golden/w11.qcow2,base-format=raw,format=qcow2")
    assert made.new_volume == v1.NewDisk(base=base, format=v1.DISK_FORMAT_QCOW2)
    made = vm_options.disk("volume=pool/old.img,format=raw")
    existing = v1.VolumeRef(pool="pool", name="old.img", format=v1.DISK_FORMAT_RAW)
    assert made == v1.DiskSpec(volume=existing)
    assert vm_options.cdrom("volume=iso/x.iso").volume == v1.VolumeRef(pool="iso", name="x.iso")
    assert vm_options.cdrom("/x.iso").path == "/x.iso"
    assert vm_options.cdrom("empty") == v1.CdromSpec()


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (proa.Error, 1),
        (proa.Internal, 1),
        (proa.ResourceExhausted, 1),
        (proa.OutOfRange, 1),
        (proa.Cancelled, 1),
        (proa.InvalidArgument, 2),
        (proa.NotFound, 3),
        (proa.Unauthenticated, 4),
        (proa.PermissionDenied, 4),
        (proa.FailedPrecondition, 5),
        (proa.IllegalState, 5),
        (proa.Unimplemented, 5),
        (proa.Unavailable, 6),
        (proa.DeadlineExceeded, 6),
        (proa.StopTimedOut, 6),
        (proa.AlreadyExists, 7),
        (proa.Aborted, 7),
    ],
)
def test_code_for_maps_every_error_to_its_exit_code(kind, code):
    assert exits.code_for(kind(grpc.StatusCode.UNKNOWN, Details())) == code
