"""Archives that an engine makes images of."""

import io
import json
import tarfile
from typing import Any


def archive(**contents: bytes) -> bytes:
    """Return an archive of files with these names and contents."""
    return _archive(contents)


def saved_image(name: str, **config: Any) -> bytes:
    """Return what `docker save` writes of an image without layers.

    Args:
        name: what it is called, such as "huge:1".
        config: more of its configuration, such as `created`.
    """
    image = {
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": []},
        **config,
    }
    manifest = [{"Config": "c.json", "RepoTags": [name], "Layers": []}]
    return _archive(
        {"c.json": json.dumps(image).encode(), "manifest.json": json.dumps(manifest).encode()}
    )


def _archive(contents: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name, content in contents.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return made.getvalue()
