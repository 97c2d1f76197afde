"""Type checkers know what a call gives."""

import subprocess
import sys

TYPED = """
import proa
from proa import v1

def sync() -> None:
    with proa.connect() as client:
        reveal_type(client.resources.GetResource(v1.GetResourceRequest(id="web")))
        for resource in client.list_resources():
            reveal_type(resource)

async def coroutine() -> None:
    async with proa.aio.connect() as client:
        reveal_type(await client.resources.GetResource(v1.GetResourceRequest(id="web")))
        async for event in client.images.PullImage(v1.PullImageRequest(image="x")):
            reveal_type(event)
"""


def test_responses_have_their_types_for_mypy(tmp_path):
    (tmp_path / "caller.py").write_text(TYPED)
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", "caller.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    revealed = [line.rpartition("pb2.")[2] for line in checked.stdout.splitlines() if "Rev" in line]
    assert checked.returncode == 0, checked.stdout
    assert revealed == [
        'GetResourceResponse"',
        'Resource"',
        'GetResourceResponse"',
        'PullImageResponse"',
    ]
