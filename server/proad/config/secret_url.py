"""URLs in settings that may contain credentials."""

from pydantic import Secret

from proad.errors import redacted


class SecretUrl(Secret[str]):
    """A URL that may contain credentials, which are redacted in all output."""

    def _display(self) -> str:
        return redacted(self.get_secret_value())
