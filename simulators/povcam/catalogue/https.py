"""Section 7, HTTPS. Six of the paths are printed without /cgi-bin/; they are asked with it like all others."""

from __future__ import annotations

from simulators.auth import Level
from simulators.checking import Command, Param, choice, number, pattern, text
from simulators.povcam.catalogue.words import cgi

LONGEST = 256  # the document says "String"; something must end it
SUBJECT = ("common_name", "country", "state", "locality", "organization", "organization_unit")


def https() -> tuple[Command, ...]:
    host = pattern("common_name", r"[A-Za-z0-9.:\-_ ]{1,64}", "a host name")
    subject = (host, *(text(name, LONGEST, required=False) for name in SUBJECT[1:]))

    def admin(name: str, *params: Param, at_least_one: bool = False) -> Command:
        return cgi(name, "GET", Level.ADMIN, *params, at_least_one=at_least_one)

    return (
        # 7.1 Setting information and acquiring certification
        admin("https_self_signed", choice("mode", "get_info", "delete")),
        admin("https_signed", choice("mode", "get_info", "delete")),
        admin("https_crt_key", choice("mode", "refresh")),
        admin(
            "set_https",
            choice("live", "http", "https", required=False),
            number("https_port", 1, 65535, required=False),
            at_least_one=True,
        ),
        admin("https_creat_self_signed", *subject),
        admin("https_creat_signed", *subject),
        admin("https_download_csr"),
        admin("https_install_signed"),
        admin("https_change_crt_key", choice("rsa_length", "2048")),
        admin("renewal", choice("cgi_name", "self_create", "csr_create", "ca_install", "key_create")),
        # 7.2 Information acquisition
        cgi("get_https", "GET", Level.LIVE),
        cgi("get_crt_key", "GET", Level.LIVE),
    )
