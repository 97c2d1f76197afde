"""The security options of a container, of which the contract has one: new privileges."""

from collections.abc import Iterator

from proad.drivers.tolerant import Value

_OPTION = "no-new-privileges"
# As the engine, which is written in Go, reads a truth value.
_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})


def security_options(allow_new_privileges: bool | None) -> list[str]:  # noqa: FBT001 - the field's value
    """Return the options of a create; None leaves it to the engine's own configuration."""
    match allow_new_privileges:
        case None:
            return []
        case True:
            return [f"{_OPTION}=false"]
        case False:
            return [_OPTION]


def allows_new_privileges(options: Value) -> bool:
    """Return whether processes may gain privileges: unless an option says no."""
    said = [denied for _, denied in _read(options) if denied is not None]
    return not (said and said[-1])  # the last one counts


def has_others(options: Value) -> bool:
    """Return whether there are other options."""
    return any(denied is None for _, denied in _read(options))


def _read(options: Value) -> Iterator[tuple[str, bool | None]]:
    """Return each option, and whether it denies new privileges; None: it is another option."""
    for option in options.texts():
        name, _, value = option.replace(":", "=", 1).partition("=")
        if option == _OPTION or (name == _OPTION and value in _TRUE):
            yield option, True
        elif name == _OPTION and value in _FALSE:
            yield option, False
        else:
            yield option, None
