"""Names of containers."""

from proad.errors import InvalidArgumentError
from proad.model import check_container_name


def require_container_name(name: str, field: str) -> None:
    """Refuse a name that Docker would refuse, before anything is changed; an empty one is none.

    Raises:
        InvalidArgumentError: with `field`.
    """
    try:
        check_container_name(name)
    except ValueError as error:
        raise InvalidArgumentError.of(field, str(error)) from None
