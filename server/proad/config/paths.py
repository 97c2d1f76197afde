"""Paths in settings: absolute from the moment on that they are read."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, FilePath

AbsolutePath = Annotated[Path, AfterValidator(lambda path: path.expanduser().absolute())]
AbsoluteFile = Annotated[FilePath, AfterValidator(lambda path: path.absolute())]
