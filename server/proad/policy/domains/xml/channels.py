"""The allowlist of the character devices in domain XML: serial ports, consoles, channels."""

from collections.abc import Mapping

from proad.policy.domains.xml.grammar import ElementRules, Need, ValueRule, Variants, denied
from proad.policy.domains.xml.parts import BOOT, HOST_CHANNEL, placed
from proad.policy.domains.xml.values import WORD, Dropped, Like, Number, Or, Prose, Words

_NEED = Need(HOST_CHANNEL, "the guest would be connected with a file, socket or device of the host")
_AGENT, _SPICE = "org.qemu.guest_agent.0", "com.redhat.spice.0"

_TERMINAL = Like("/dev/pts/[0-9]{1,9}", "a terminal that libvirt chose")
# Where libvirt has the sockets of agents, in all its releases.
_SOCKET = Like(
    r"(/var/lib|/run|/var/run)/libvirt/qemu/channel/(target/)?[^/]{1,255}/org\.qemu\.guest_agent\.0",
    "a socket that libvirt chose",
)
_LOG = denied(HOST_CHANNEL, "the output of the guest would go to a file of the host")

# The sources that are connected with the host.
_OUTSIDE = (
    *("file", "pipe", "dev", "unix", "tcp", "udp", "stdio", "null", "vc"),
    *("nmdm", "spiceport", "dbus", "qemu-vdagent"),
)


def _device(
    source: ElementRules,
    target: ElementRules,
    attributes: Mapping[str, ValueRule] | None = None,
    need: Need | None = None,
) -> ElementRules:
    return ElementRules(
        attributes=attributes or {},
        children=placed({"source": source, "target": target, "log": _LOG}),
        need=need,
    )


def _outside(target: ElementRules, kinds: tuple[str, ...]) -> Mapping[str, ElementRules]:
    source = ElementRules(need=_NEED, whole=True, many=True)
    device = _device(source, target, need=_NEED)
    more = {**device.children, "protocol": ElementRules(attributes={"type": WORD})}
    return dict.fromkeys(kinds, ElementRules(children=more, need=_NEED))


def _terminal(target: ElementRules) -> Variants:
    """Return a device on a pseudo-terminal that libvirt chooses."""
    source = ElementRules(attributes={"path": Dropped(_TERMINAL)}, dropped=True)
    pty = _device(source, target, {"tty": Dropped(_TERMINAL)})
    return Variants(
        forms={"pty": pty, **_outside(target, _OUTSIDE)}, rule=HOST_CHANNEL.rule, many=True
    )


def _serial_target() -> ElementRules:
    return ElementRules(
        attributes={"type": WORD, "port": Number(0, 65_535)},
        children={"model": ElementRules(attributes={"name": WORD})},
    )


_CONSOLE = ElementRules(
    attributes={"type": Words("serial virtio sclp sclplm"), "port": Number(0, 65_535)}
)


def _channel_target(names: str) -> ElementRules:
    return ElementRules(
        attributes={
            "type": Words("virtio"),
            "name": Or(value=Words(names), wider=WORD, **_NEED._asdict()),
            "state": Dropped(Words("connected disconnected")),
        }
    )


_CHANNEL = Variants(
    forms={
        "unix": _device(
            ElementRules(
                attributes={
                    "mode": Or(value=Words("bind"), wider=Words("bind connect"), **_NEED._asdict()),
                    "path": Dropped(Or(value=_SOCKET, wider=Prose(108), **_NEED._asdict())),
                }
            ),
            _channel_target(_AGENT),
        ),
        "spicevmc": _device(ElementRules(), _channel_target(_SPICE)),
        **_outside(
            _channel_target(f"{_AGENT} {_SPICE}"),
            (*(kind for kind in _OUTSIDE if kind != "unix"), "pty"),
        ),
    },
    rule=HOST_CHANNEL.rule,
    many=True,
)

_REDIRECTION = Variants(
    forms={
        "spicevmc": ElementRules(
            attributes={"bus": Words("usb")},
            children=placed({"boot": BOOT}),
        ),
        **{kind: denied(*_NEED) for kind in ("tcp", "unix", "dev", "file", "pipe", "udp", "pty")},
    },
    rule=HOST_CHANNEL.rule,
    many=True,
)

CHANNELS: Mapping[str, ElementRules | Variants] = {
    "serial": _terminal(_serial_target()),
    "console": _terminal(_CONSOLE),
    "channel": _CHANNEL,
    "redirdev": _REDIRECTION,
    **{name: denied(*_NEED) for name in ("parallel", "smartcard", "redirfilter")},
}
