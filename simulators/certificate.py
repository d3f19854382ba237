"""The certificate of a device with TLS: its own, self-signed, and the same after every start.

Key and certificate are made from the device's identity and a generation, never from chance: a client that pinned the
certificate finds it again when the simulator was started anew, and sees another one only after `renew`.
"""

from __future__ import annotations

import hashlib
import ipaddress
import ssl
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

MADE = datetime(2024, 1, 1, tzinfo=UTC)
LIFE = timedelta(days=365 * 20)


class Certificate:
    def __init__(self, identity: str, host: str) -> None:
        self._identity, self._host = identity, host
        self._generation = 0
        self.pem = b""
        """The certificate, as a client may keep it."""
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.maximum_version = ssl.TLSVersion.TLSv1_2  # these devices speak nothing newer
        self._present()

    def renew(self) -> None:
        """Show another certificate from the next connection on."""
        self._generation += 1
        self._present()

    def _present(self) -> None:
        seed = hashlib.sha256(f"{self._identity} {self._generation}".encode()).digest()
        key = ec.derive_private_key(int.from_bytes(seed[:31], "big") + 1, ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self._identity)])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(int.from_bytes(seed[16:], "big") >> 1 | 1)
            .not_valid_before(MADE)
            .not_valid_after(MADE + LIFE)
            .add_extension(x509.SubjectAlternativeName([_name(self._host)]), critical=False)
            .sign(key, hashes.SHA256(), ecdsa_deterministic=True)
        )
        self.pem = certificate.public_bytes(serialization.Encoding.PEM)
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        with tempfile.TemporaryDirectory() as folder:  # the ssl module reads keys from files only
            chain = Path(folder) / "chain.pem"
            chain.write_bytes(secret + self.pem)
            self.context.load_cert_chain(chain)


def _name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
