"""What an IPCam leaves the factory with, and the words it uses when it is asked instead of read."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Mapping

from simulators.ipcam.commands import COMPRESSIONS, DDNS_PROVIDERS, RESOLUTIONS

Pairs = list[tuple[str, str]]
Table = dict[str, str]

MODEL = "CAS-370W"
FIRMWARE = "3.06 (2008-10-06)"
CGI_VERSION = "2"
FASTEST = 20  # frames per second: what Auto comes to

# Where a zone of table 1 begins that differs from the one before it, and its minutes from Greenwich.
_ZONES = (
    (0, 0),
    (1, -720),
    (2, -660),
    (3, -600),
    (4, -540),
    (5, -480),
    (7, -420),
    (10, -360),
    (14, -300),
    (17, -270),
    (18, -240),
    (22, -210),
    (23, -180),
    (27, -120),
    (28, -60),
    (30, 0),
    (32, 60),
    (37, 120),
    (46, 180),
    (51, 210),
    (52, 240),
    (55, 270),
    (56, 300),
    (58, 330),
    (60, 345),
    (61, 360),
    (63, 390),
    (64, 420),
    (66, 480),
    (71, 540),
    (74, 570),
    (76, 600),
    (81, 660),
    (82, 720),
    (84, 780),
)


def factory(*, name: str, user: str, password: str, address: str, everybody: bool) -> dict[str, Table]:
    """The settings by path. `everybody`: pictures and camera control need no password."""
    return {
        "/system.cgi": {
            "CameraName": name,
            "Location": "",
            "AdminID": user,
            "AdminPassword": password,
            "LEDControl": "0",
        },
        "/datetime.cgi": {
            "DateTimeMode": "0",
            "TimeServerIPAddress": "pool.ntp.org",
            "TimeServerProtocol": "0",
            "TimeZone": "0",
            "TimeZoneIndex": "0",
        },
        "/user.cgi": {"AccessControlEnable": "1" if everybody else "0"},
        "/image.cgi": {
            "VideoResolution": "2",
            "CompressionRate": "2",
            "FrameRate": "15",
            "BrightnessControl": "64",
            "ContrastControl": "64",
            "SaturationControl": "64",
            "LightFrequency": "0",
            "Mirror": "0",
            "AntiFlickerEnable": "0",
        },
        "/network.cgi": {
            "IPAddressMode": "1",
            "IPAddress": address,
            "SubnetMask": "255.255.255.0",
            "DefaultGateway": "192.168.0.1",
            "PPPoEUserID": "",
            "PPPoEPASSWORD": "",
            "DNSIPAddress1": "192.168.0.1",
            "DNSIPAddress2": "0.0.0.0",  # noqa: S104 -- "none", not an address to listen on
            "DDNSEnable": "0",
            "DDNSProvider": DDNS_PROVIDERS[0],
            "DDNSHostName": "",
            "DDNSUserName": "",
            "DDNSPassword": "",
            "SecondHTTPPortEnable": "0",
            "SecondHTTPPort": "81",
            "UPnPEnable": "0",
        },
        "/wireless.cgi": {
            "ConnectionMode": "0",
            "SSID": "default",
            "WirelessChannel": "6",
            "TransmissionRate": "Fully Automatic",
            "WEPEncryption": "0",
            "WEPKeyFormat": "0",
            "Key1": "abcde",
            "Key2": "abcde",
            "Key3": "abcde",
            "Key4": "abcde",
            "TxKey": "Key 1",
            "BeaconInterval": "100",
            "Preamble": "0",
            "AuthenticationType": "0",
            "PreSharedKey": "0123456789",
        },
        "/upload.cgi": {
            "FTPHostAddress": "",
            "FTPPortNumber": "21",
            "FTPUserName": "",
            "FTPPassword": "",
            "FTPDirectoryPath": "/",
            "FTPPassiveMode": "1",
            "FTPScheduleEnable": "0",
            "FTPScheduleMode": "0",
            "FTPScheduleDay": "127",
            "FTPScheduleTimeStart": "00:00:00",
            "FTPScheduleTimeStop": "23:59:59",
            "FTPScheduleVideoFrequencyMode": "0",
            "FTPScheduleFramePerSecond": "1",
            "FTPScheduleSecondPerFrame": "1",
            "FTPScheduleBaseFileName": "video",
            "FTPScheduleFileMode": "1",
            "FTPScheduleMaxFileSequenceNumber": "1024",
            "FTPManualEnable": "0",
            "FTPManualBaseFileName": "image",
            "FTPManualFileMode": "1",
            "FTPManualMaxFileSequenceNumber": "1024",
        },
        "/email.cgi": {
            "EmailSMTPServerAddress": "",
            "EmailSenderAddress": "",
            "EmailReceiverAddress": "",
            "EmailUserName": "",
            "EmailPassword": "",
            "EmailScheduleEnable": "0",
            "EmailScheduleMode": "0",
            "EmailScheduleDay": "127",
            "EmailScheduleTimeStart": "00:00:00",
            "EmailScheduleTimeStop": "23:59:59",
            "EmailScheduleInterval": "60",
            "EmailManualEnable": "0",
            "EmailManualInterval": "60",
        },
    }


def minutes_from_greenwich(zones: Mapping[str, str]) -> int:
    """The index says it, unless it is 0 ("unused timezone table"): then the hours do."""
    index = int(zones["TimeZoneIndex"])
    if not index:
        return int(zones["TimeZone"]) * 60
    return _ZONES[bisect_right(_ZONES, (index, 780)) - 1][1]


def hardware_address(seed: int) -> str:
    """As the example of 3.1.2 writes it."""
    digest = hashlib.sha256(f"ipcam {seed}".encode()).hexdigest().upper()
    return f"00 FF 5C {digest[0:2]} {digest[2:4]} {digest[4:6]}"


def system_information(system: Table, seed: int, address: str) -> Pairs:
    return [
        ("CameraName", system["CameraName"]),
        ("Location", system["Location"]),
        ("Model", MODEL),
        ("FirmwareVersion", FIRMWARE),
        ("MACAddress", hardware_address(seed)),
        ("IPAddress", address),
        ("EthernetLink", "Yes"),
        ("EthernetSpeed", "100M bps"),
        ("EthernetDuplex", "Full Duplex"),
    ]


def image_information(image: Table, size: int) -> Pairs:
    rate = image["FrameRate"]
    return [
        ("VideoResolution", RESOLUTIONS[int(image["VideoResolution"])]),
        ("CompressionRate", COMPRESSIONS[int(image["CompressionRate"])]),
        ("FrameRate", "Auto" if rate == "0" else rate),
        ("FrameSize", f"{size} Bytes"),
        ("LightFrequency", "60 Hz" if image["LightFrequency"] == "1" else "50 Hz"),
    ]


def network_information(network: Table, address: str) -> Pairs:
    second = "Disable" if network["SecondHTTPPortEnable"] == "0" else "Enable"
    return [
        ("IPAddress", address),
        ("SubnetMask", network["SubnetMask"]),
        ("DefaultGateway", network["DefaultGateway"]),
        ("PrimaryDNSAddress", network["DNSIPAddress1"]),
        ("SecondaryDNSAddress", network["DNSIPAddress2"]),
        ("DynamicDNS", "Disable" if network["DDNSEnable"] == "0" else "Enable"),
        ("SecondaryHTTPPort", f"{second} (Port : {network['SecondHTTPPort']})"),
        ("UpnP", "Disable" if network["UPnPEnable"] == "0" else f"Enable (IP : {address})"),
    ]


def wireless_information(wireless: Table) -> Pairs:
    rate = wireless["TransmissionRate"]
    return [
        ("ConnectionMode", "Infrastructure" if wireless["ConnectionMode"] == "0" else "Adhoc"),
        ("WirelessLink", "Yes"),
        ("SSID", f"{wireless['SSID']} (MAC : 00 0F 3D 3D 90 0E)"),
        ("WirelessChannel", wireless["WirelessChannel"]),
        ("TransmissionRate", rate.replace(" Mb", " M bps")),
        ("WEPEncryption", {"0": "Disable", "4": "WPA-PSK / WPA2-PSK"}.get(wireless["WEPEncryption"], "WEP")),
    ]
