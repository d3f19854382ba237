"""POVCAM Interface Specifications, Version 1.0, section 7: HTTPS control.

All rows but one lack `/cgi-bin/` in the document; it stands in front of every CGI of the device. The document describes
none of the replies, recommends the device's own pages for these settings, and says that some models have no HTTPS.
"""

from collections.abc import Mapping

from devices.cgi import Access, Bytes, Choice, Command, Field, Kind, NumberField, Param, Text, Whole, any_of
from devices.cgi.commands import Constraint
from devices.families.povcam.commands.row import row

_PAGES = "It is recommended to implement the HTTPS settings through GUI from the WEB menu."
_INFO_OR_DELETE = {"get_info": "Information confirmation", "delete": "Delete"}


def _https(
    command_id: str,
    title: str,
    *params: Param,
    kind: Kind = Kind.WRITE,
    constraints: tuple[Constraint, ...] = (),
    danger: str = "",
    danger_for: Mapping[str, tuple[str, ...]] | None = None,
    unrunnable: str = "",
) -> Command:
    return row(
        command_id,
        "7.1",
        title,
        kind=kind,
        access=Access.ADMIN,
        params=params,
        constraints=constraints,
        note=_PAGES,
        danger=danger,
        danger_for=danger_for,
        unrunnable=unrunnable,
    )


def _subject() -> tuple[Text, ...]:
    """Who a certificate is for. The document sets no lengths; these are those of X.520."""
    return (
        Text(name="common_name", required=True, min_length=1, max_length=64, note="Host name"),
        Text(name="country", max_length=2, note="Country name"),
        Text(name="state", max_length=128, note="Prefecture name"),
        Text(name="locality", max_length=128, note="Locality name"),
        Text(name="organization", max_length=64, note="Organization name"),
        Text(name="organization_unit", max_length=64, note="Department name"),
    )


HTTPS_SELF_SIGNED = _https(
    "https_self_signed",
    "HTTPS self-signed certificate",
    Choice(name="mode", required=True, choices=_INFO_OR_DELETE),
    danger="The certificate is removed: the device can no longer be reached over HTTPS with it.",
    danger_for={"mode": ("delete",)},
)
HTTPS_SIGNED = _https(
    "https_signed",
    "HTTPS CA certificate",
    Choice(name="mode", required=True, choices=_INFO_OR_DELETE),
    danger="The certificate is removed: the device can no longer be reached over HTTPS with it.",
    danger_for={"mode": ("delete",)},
)
HTTPS_CRT_KEY = _https(
    "https_crt_key",
    "HTTPS CRT key history usage",
    Choice(name="mode", required=True, choices={"refresh": "Update"}, note="Processing of CRT key"),
    danger="The key changes: certificates made with the present one no longer fit.",
)
SET_HTTPS = _https(
    "set_https",
    "HTTPS connection method",
    Choice(name="live", choices={"http": "HTTP", "https": "HTTPS"}, note="Connection method"),
    Whole(name="https_port", low=1, high=65535, note="HTTPS port number"),
    constraints=(any_of("live", "https_port"),),
    danger="The device will be reached by another scheme or port afterwards; running pictures end.",
)
HTTPS_CREAT_SELF_SIGNED = _https(
    "https_creat_self_signed",
    "HTTPS self-signed certificate generate",
    *_subject(),
    danger="The device shows another certificate afterwards, which has to be trusted anew.",
)
HTTPS_CREAT_SIGNED = _https("https_creat_signed", "HTTPS CSR generate", *_subject())
HTTPS_DOWNLOAD_CSR = row(
    "https_download_csr",
    "7.1",
    "HTTPS CSR download",
    kind=Kind.FILE,
    access=Access.ADMIN,
    shape=Bytes(),
    note=_PAGES,
)
HTTPS_INSTALL_SIGNED = _https(
    "https_install_signed",
    "HTTPS CA certificate install",
    unrunnable="the document gives it no parameters and no body. Install the certificate on the device's own pages.",
)
HTTPS_CHANGE_CRT_KEY = _https(
    "https_change_crt_key",
    "HTTPS CRT key generate",
    Choice(name="rsa_length", required=True, choices={"2048": "2048bit"}, note="Key length"),
    danger="A new key is made: certificates made with the present one no longer fit.",
)
RENEWAL = _https(
    "renewal",
    "Status update",
    Choice(
        name="cgi_name",
        required=True,
        choices={
            "self_create": "Self-signed certificate creation status",
            "csr_create": "CSR creation status",
            "ca_install": "CA certificate installation status",
            "key_create": "CRT key generation status",
        },
    ),
    kind=Kind.READ,
)

# --- 7.2 Information acquisition --------------------------------------------------------------------------------------
# Undescribed in the document; the fields are those of the setting side, as with the device's other settings.
GET_HTTPS = row(
    "get_https",
    "7.2",
    "HTTPS settings information acquisition",
    kind=Kind.READ,
    reply=(Field("live"), NumberField("https_port")),
)
GET_CRT_KEY = row("get_crt_key", "7.2", "HTTPS CRT key information acquisition", kind=Kind.READ)

COMMANDS = (
    HTTPS_SELF_SIGNED,
    HTTPS_SIGNED,
    HTTPS_CRT_KEY,
    SET_HTTPS,
    HTTPS_CREAT_SELF_SIGNED,
    HTTPS_CREAT_SIGNED,
    HTTPS_DOWNLOAD_CSR,
    HTTPS_INSTALL_SIGNED,
    HTTPS_CHANGE_CRT_KEY,
    RENEWAL,
    GET_HTTPS,
    GET_CRT_KEY,
)
