import os
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from proad.config import TlsFiles
from proad.errors import SetupError
from proad.tls import read_tls

DAY = timedelta(days=1)
KINDS = {
    "ec": lambda: ec.generate_private_key(ec.SECP256R1()),
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
}


def pem_key(key, encryption=None, form=PrivateFormat.PKCS8):
    return key.private_bytes(Encoding.PEM, form, encryption or NoEncryption())


def certificate(key, begin=-DAY, end=DAY, name="proa.example", encoding=Encoding.PEM):
    now = datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now + begin)
        .not_valid_after(now + end)
    )
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, algorithm).public_bytes(encoding)


@pytest.fixture(scope="module")
def key():
    return KINDS["ec"]()


@pytest.fixture
def write(tmp_path):
    def write(key, chain, client_ca=None, mode=0o600):
        contents = {"key.pem": key, "cert.pem": chain, "ca.pem": client_ca}
        for name, content in contents.items():
            if content is not None:
                (tmp_path / name).write_bytes(content)
        (tmp_path / "key.pem").chmod(mode)
        return TlsFiles(
            cert_file=tmp_path / "cert.pem",
            key_file=tmp_path / "key.pem",
            client_ca_file=None if client_ca is None else tmp_path / "ca.pem",
        )

    return write


def refused(files):
    with pytest.raises(SetupError) as caught:
        read_tls(files)
    assert "PRIVATE KEY-----\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_read_tls_of_valid_files_returns_them(write, kind):
    key = KINDS[kind]()
    chain = certificate(key) + certificate(KINDS["ec"](), name="authority")
    authority = certificate(key)
    tls = read_tls(write(pem_key(key), chain, authority))
    assert (tls.key, tls.chain, tls.client_ca) == (pem_key(key), chain, authority)
    assert "PRIVATE" not in repr(tls)


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_read_tls_of_a_key_in_either_format_succeeds(write, key, form):
    assert read_tls(write(pem_key(key, form=form), certificate(key))).client_ca is None


@pytest.mark.parametrize(
    "cut", [slice(-40), slice(40, None), slice(30), slice(15), slice(-3)], ids=str
)
@pytest.mark.parametrize("file", ["cert", "ca"])
def test_read_tls_of_a_file_that_is_cut_in_the_middle_is_refused(write, key, file, cut):
    """Of those that follow each other in it, the others would count alone."""
    whole = certificate(key)
    part = whole + certificate(KINDS["ec"](), name="another")[cut]
    files = write(pem_key(key), part if file == "cert" else whole, part)
    assert f"{file}.pem: something in it is not whole" in refused(files)


def test_read_tls_of_an_expired_certificate_names_the_time(write, key):
    end = datetime.now(UTC) - DAY
    message = refused(write(pem_key(key), certificate(key, -3 * DAY, -DAY)))
    assert f"cert.pem: the certificate of 'CN=proa.example' expired on {end:%Y-%m-%d}" in message
    assert "renew" in message


def test_read_tls_of_a_future_certificate_names_the_time(write, key):
    message = refused(write(pem_key(key), certificate(key, 2 * DAY, 3 * DAY)))
    assert f"is not valid before {datetime.now(UTC) + 2 * DAY:%Y-%m-%d}" in message
    assert "set the clock" in message


def test_read_tls_of_a_chain_with_an_expired_certificate_is_refused(write, key):
    chain = certificate(key) + certificate(key, -3 * DAY, -DAY, name="authority")
    assert "'CN=authority' expired on" in refused(write(pem_key(key), chain))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_read_tls_of_a_key_that_others_can_read_is_refused(write, key, mode):
    message = refused(write(pem_key(key), certificate(key), mode=mode))
    assert f"others may use this key (mode {mode:04o})" in message
    assert "chmod 600" in message


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_read_tls_of_a_key_of_another_user_is_refused(write, key):
    files = write(pem_key(key), certificate(key))
    os.chown(files.key_file, 12345, -1)
    assert "belongs to another user (uid 12345)" in refused(files)


def test_read_tls_of_a_key_behind_a_link_checks_the_target(write, key, tmp_path):
    files = write(pem_key(key), certificate(key))
    files.key_file.rename(tmp_path / "key1.pem")
    files.key_file.symlink_to("key1.pem")
    assert read_tls(files).key == pem_key(key)
    (tmp_path / "key1.pem").chmod(0o644)
    assert "mode 0644" in refused(files)


def test_read_tls_of_a_key_of_another_certificate_is_refused(write, key):
    message = refused(write(pem_key(KINDS["ec"]()), certificate(key)))
    assert "is not the key of the first certificate" in message
    assert "CN=proa.example" in message


def test_read_tls_of_an_encrypted_key_is_refused(write, key):
    encrypted = pem_key(key, BestAvailableEncryption(b"secret"))
    assert "the key is encrypted" in refused(write(encrypted, certificate(key)))


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\xff\x00", b"-----BEGIN PRIVATE KEY-----"])
def test_read_tls_of_other_files_names_what_they_are(write, key, content):
    assert "key.pem: holds no such key" in refused(write(content, certificate(key)))
    assert "cert.pem: holds " in refused(write(pem_key(key), content))
    assert "ca.pem: holds " in refused(write(pem_key(key), certificate(key), content))


def test_read_tls_of_swapped_files_says_so(write, key):
    message = refused(write(certificate(key), pem_key(key)))
    assert "key.pem: holds a certificate; tls_key_file is a private key" in message
    assert "cert.pem: holds a private key" in refused(write(pem_key(key), pem_key(key)))


def test_read_tls_of_a_certificate_in_der_is_refused(write, key):
    der = certificate(key, encoding=Encoding.DER)
    assert "certificates in PEM" in refused(write(pem_key(key), der))


def test_read_tls_without_a_valid_authority_is_refused(write, key):
    over = certificate(key, -3 * DAY, -DAY, name="old")
    assert read_tls(write(pem_key(key), certificate(key), over + certificate(key)))
    assert "'CN=old' expired" in refused(write(pem_key(key), certificate(key), over))


def test_read_tls_of_a_missing_file_is_refused(write, key):
    files = write(pem_key(key), certificate(key))
    files.key_file.unlink()
    assert refused(files) == f"{files.key_file}: No such file or directory"
