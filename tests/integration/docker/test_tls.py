"""An engine behind TCP with TLS: the same driver, other certificates."""

import shutil
import subprocess
from pathlib import Path

import pytest

from integration.docker.private_engine import PrivateEngine
from integration.docker.registry import free_port
from integration.docker.workloads import IMAGE, eventually
from proad.drivers.docker import DockerDriver
from proad.errors import EngineConflictError, EngineUnreachableError
from proad.model import ContainerSpec

pytestmark = pytest.mark.docker


def openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def authority(folder: Path) -> Path:
    """Make a folder with a certificate authority and certificates for both ends."""
    folder.mkdir()
    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    basic = ("-addext", "basicConstraints=critical,CA:TRUE")
    openssl(folder, "req", "-x509", *new_key, "-subj", "/CN=ca", *basic,
            "-keyout", "ca-key.pem", "-out", "ca.pem", "-days", "2")  # fmt: skip
    for name, prefix in (("server", "server-"), ("client", "")):
        (folder / "extensions").write_text(
            f"subjectAltName=IP:127.0.0.1\nextendedKeyUsage={name}Auth\n"
        )
        openssl(folder, "req", *new_key, "-subj", f"/CN={name}",
                "-keyout", f"{prefix}key.pem", "-out", "request")  # fmt: skip
        openssl(folder, "x509", "-req", "-in", "request", "-CA", "ca.pem", "-CAkey", "ca-key.pem",
                "-CAcreateserial", "-extfile", "extensions", "-days", "2",
                "-out", f"{prefix}cert.pem")  # fmt: skip
    return folder


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")
async def test_with_certificates(engine: PrivateEngine, tmp_path: Path):
    right, wrong = authority(tmp_path / "right"), authority(tmp_path / "wrong")
    url = f"tcp://127.0.0.1:{free_port()}"
    engine.start(
        f"--host={url}",
        "--tlsverify",
        f"--tlscacert={right}/ca.pem",
        f"--tlscert={right}/server-cert.pem",
        f"--tlskey={right}/server-key.pem",
    )
    async with DockerDriver(url, cert_path=right) as driver:
        await eventually(lambda: PrivateEngine.answers(driver), within=30)
        await engine.import_image()
        made = await driver.create_container(ContainerSpec(image=IMAGE))
        assert [each.id for each in await driver.list_resources()] == [made.resource.id]
        await driver.delete(made.resource.id)
        with pytest.raises(EngineConflictError):  # a stream has a connection of its own
            await anext(aiter(driver.pull_image("127.0.0.1:1/x")))
    for folder in (wrong, None):
        async with DockerDriver(url, cert_path=folder) as driver:
            with pytest.raises((EngineUnreachableError, EngineConflictError)):
                await driver.probe()
