"""Section 7: the key, the certificates, and whether the web pages are asked by HTTPS.

What the document does not say is decided here: `get_info` tells the subject as key=value lines, with `exist=0` when
there is none; `renewal` answers `status=` and one of none, exec, finish, error; `get_https` tells the parameters of
set_https; a CA certificate cannot be installed, because nobody knows how one is sent.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from simulators.http import Answer, Request, Response
from simulators.povcam.answers import DONE, Action, Declined, Pairs, Values, told
from simulators.povcam.catalogue.https import SUBJECT
from simulators.povcam.clock import RunningClock
from simulators.povcam.eventlog import EventLog
from simulators.povcam.settings import Settings

LIFE = timedelta(days=5 * 365)
OIDS = {
    "common_name": NameOID.COMMON_NAME,
    "country": NameOID.COUNTRY_NAME,
    "state": NameOID.STATE_OR_PROVINCE_NAME,
    "locality": NameOID.LOCALITY_NAME,
    "organization": NameOID.ORGANIZATION_NAME,
    "organization_unit": NameOID.ORGANIZATIONAL_UNIT_NAME,
}


@dataclass(frozen=True)
class Made:
    """Something that takes a while to make: there from `ready` on."""

    ready: float
    subject: Values
    begun: datetime

    @property
    def done(self) -> bool:
        return time.monotonic() >= self.ready


class Certificates:
    def __init__(
        self,
        settings: Settings,
        clock: RunningClock,
        log: EventLog,
        *,
        work_seconds: float,
        serve: Callable[[str, int, str], None],
    ) -> None:
        """`serve` lets the web server speak http or https at a port, with a certificate for a name; it raises
        `Declined` when it cannot."""
        self._settings = settings
        self._clock = clock
        self._log = log
        self._work = work_seconds
        self._serve = serve
        self._key: Made | None = self._make({}, 0.0)
        self._earlier_key: Made | None = None
        self._self_signed: Made | None = None
        self._request: Made | None = None
        self.actions: dict[str, Action] = {
            "https_self_signed": self._self_signed_certificate,
            "https_signed": self._signed_certificate,
            "https_crt_key": self._crt_key,
            "set_https": self._set_https,
            "https_creat_self_signed": self._create_self_signed,
            "https_creat_signed": self._create_request,
            "https_download_csr": self._download_csr,
            "https_install_signed": self._install_signed,
            "https_change_crt_key": self._change_crt_key,
            "renewal": self._renewal,
            "get_https": self._get_https,
            "get_crt_key": self._get_crt_key,
        }

    def _make(self, subject: Values, seconds: float) -> Made:
        return Made(time.monotonic() + seconds, subject, self._clock.local())

    # 7.1

    async def _self_signed_certificate(self, values: Values, request: Request) -> Answer:
        if values["mode"] == "get_info":
            return told(_information(self._self_signed))
        if self._settings.https.live == "https":
            raise Declined("in_use", "The certificate is in use: the connection method is HTTPS.")
        self._self_signed = None
        self._log.add(501, "Self-signed certificate deleted")
        return DONE

    async def _signed_certificate(self, values: Values, request: Request) -> Answer:
        """There never is one from a CA; what can be deleted is the request for it."""
        if values["mode"] == "get_info":
            return told(_information(None))
        self._request = None
        return DONE

    async def _crt_key(self, values: Values, request: Request) -> Answer:
        """Back to the key before the last change."""
        if self._earlier_key is None:
            raise Declined("no_key", "There is no earlier key.")
        self._key, self._earlier_key = self._earlier_key, self._key
        return DONE

    async def _set_https(self, values: Values, request: Request) -> Answer:
        https = self._settings.https
        live, port = values.get("live", https.live), values.get("https_port", https.https_port)
        certificate = self._self_signed
        if live == "https" and (certificate is None or not certificate.done):
            raise Declined("no_certificate", "For HTTPS a certificate has to be made first.")
        if live != https.live or (live == "https" and port != https.https_port):
            self._serve(live, int(port), certificate.subject["common_name"] if certificate else "")
        https.live, https.https_port = live, port
        return DONE

    async def _create_self_signed(self, values: Values, request: Request) -> Answer:
        self._expect_key()
        if self._settings.https.live == "https":
            raise Declined("in_use", "The certificate is in use: the connection method is HTTPS.")
        self._self_signed = self._make(values, self._work)
        self._log.add(502, "Self-signed certificate made")
        return DONE

    async def _create_request(self, values: Values, request: Request) -> Answer:
        self._expect_key()
        self._request = self._make(values, self._work)
        self._log.add(503, "CSR made")
        return DONE

    async def _download_csr(self, values: Values, request: Request) -> Answer:
        if self._request is None or not self._request.done:
            raise Declined("no_csr", "A CSR has to be made first.")
        body = await asyncio.to_thread(_csr, self._request.subject)
        disposition = ("Content-Disposition", 'attachment; filename="csr.pem"')
        return Response(200, body, "application/octet-stream", (disposition,))

    async def _install_signed(self, values: Values, request: Request) -> Answer:
        raise Declined("no_body", "The document does not say how a certificate is sent.")

    async def _change_crt_key(self, values: Values, request: Request) -> Answer:
        self._expect_key()
        if self._settings.https.live == "https":
            raise Declined("in_use", "The key is in use: the connection method is HTTPS.")
        self._key, self._earlier_key = self._make({}, self._work), self._key
        self._self_signed = self._request = None
        self._log.add(504, "CRT key made")
        return DONE

    def _expect_key(self) -> None:
        if self._key is None or not self._key.done:
            raise Declined("busy", "The CRT key is still being made.")

    async def _renewal(self, values: Values, request: Request) -> Answer:
        made = {
            "self_create": self._self_signed,
            "csr_create": self._request,
            "ca_install": None,
            "key_create": self._key,
        }[values["cgi_name"]]
        return told([("status", "none" if made is None else "finish" if made.done else "exec")])

    # 7.2

    async def _get_https(self, values: Values, request: Request) -> Answer:
        https = self._settings.https
        return told([("live", https.live), ("https_port", https.https_port)])

    async def _get_crt_key(self, values: Values, request: Request) -> Answer:
        made = self._key is not None and self._key.done
        return told([("exist", int(made)), ("rsa_length", 2048 if made else "")])


def _information(made: Made | None) -> Pairs:
    if made is None or not made.done:
        return [("exist", 0)]
    return [
        ("exist", 1),
        *((name, made.subject.get(name, "")) for name in SUBJECT),
        ("not_before", f"{made.begun:%m/%d/%Y %H:%M:%S}"),
        ("not_after", f"{made.begun + LIFE:%m/%d/%Y %H:%M:%S}"),
    ]


def _csr(subject: Values) -> bytes:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    # X.509 wants a country of two letters and nothing longer than 64: other values stay out of the request.
    fits = {part: value for part, value in subject.items() if 0 < len(value) <= 64}
    if not re.fullmatch("[A-Za-z]{2}", fits.get("country", "")):
        fits.pop("country", None)
    name = x509.Name([x509.NameAttribute(OIDS[part], fits[part]) for part in SUBJECT if part in fits])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM)
