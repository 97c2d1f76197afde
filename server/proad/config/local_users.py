"""Settings of the login socket: which users of this host stand for which users of the daemon."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from proad.config.listen import parse_listen_address
from proad.config.paths import AbsolutePath
from proad.model.scope import Scope
from proad.store.users import fold_username

_Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00]*$")]
_LARGEST_ID = 2**32 - 2  # 2**32 - 1 stands for no id


class LocalUserSettings(BaseModel):
    """One `[[local_user]]` table: users of this host, and the user whom they stand for.

    Attributes:
        uid: id of a user of this host.
        name: name of a user of this host.
        group: name of a group of this host, whose members are meant; root never is.
        user: name of the daemon's user.
        scopes: the scopes of its tokens, as far as the user has them; None: all of the user's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    uid: Annotated[int, Field(ge=0, le=_LARGEST_ID)] | None = None
    name: _Name | None = None
    group: _Name | None = None
    user: Annotated[_Name, AfterValidator(fold_username)]
    scopes: frozenset[Scope] | None = None

    @model_validator(mode="after")
    def _check_who(self) -> Self:
        if [self.uid, self.name, self.group].count(None) != 2:  # noqa: PLR2004 - all but one
            raise ValueError("needs one of uid, name and group")
        return self


def _check_path(path: Path) -> Path:
    parse_listen_address(f"unix:{path}")
    return path


SocketPath = Annotated[AbsolutePath, AfterValidator(_check_path)]
