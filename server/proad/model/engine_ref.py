"""Names of engines."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class EngineRef:
    """The name of an engine: its host connection and its driver. Texts have it as HOST/DRIVER."""

    host: str = ""
    driver: str = ""

    def __str__(self) -> str:
        """Return HOST/DRIVER."""
        return f"{self.host}/{self.driver}"
