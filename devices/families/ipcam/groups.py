"""The settings of an IPCam in groups, as its document has them; forms, snapshots and differences derive from these."""

from collections.abc import Mapping

from devices.cgi import Ask, Command, Group, Setting
from devices.families.ipcam import commands as cgi

_WITHOUT_RESTART = {"ConfigReboot": "No"}
_DAYS = "The sum of the days: Sunday 1, Monday 2, Tuesday 4, Wednesday 8, Thursday 16, Friday 32, Saturday 64."
_ONLY_FIXED = "Used while IPAddressMode is Fixed IP. A change restarts the camera, which is then reached there."


def _settings(
    write: Command,
    *,
    helps: Mapping[str, str] | None = None,
    words: Mapping[str, Mapping[str, str]] | None = None,
    without: tuple[str, ...] = (),
) -> tuple[Setting, ...]:
    """A setting for each parameter of a setter, all of which are read under the same names."""
    return tuple(
        Setting(
            name=param.name,
            label=param.note,
            help=(helps or {}).get(param.name, ""),
            words=(words or {}).get(param.name, {}),
        )
        for param in write.params
        if param.name not in ("ConfigReboot", *without)
    )


SYSTEM = Group(
    id="system",
    title="System",
    reads=(Ask(cgi.GET_SYSTEM),),
    write=cgi.SET_SYSTEM,
    extra=_WITHOUT_RESTART,
    settings=(
        *_settings(
            cgi.SET_SYSTEM,
            without=("AdminID", "AdminPassword"),
            helps={"LEDControl": "Dummy lets the LED blink as if the camera were watched."},
        ),
        # Its password changes together with the one we log in with, and never as a setting.
        Setting(name="AdminID", param=None, label="Admin username"),
    ),
)
DATETIME = Group(
    id="datetime",
    title="Date and time",
    reads=(Ask(cgi.GET_DATETIME),),
    write=cgi.SET_DATETIME,
    extra=_WITHOUT_RESTART,
    settings=(
        *_settings(
            cgi.SET_DATETIME,
            without=("Date", "Time"),
            helps={
                "TimeZone": "Whole hours. TimeZoneIndex knows the zones between them too, and counts where it is set.",
                "TimeZoneIndex": "0 stands for no zone of the table: then TimeZone counts.",
            },
            # Zones as other firmware writes them.
            words={"TimeZone": {**{str(hours): f"+{hours}" for hours in range(1, 14)}, "+0": "0", "-0": "0"}},
        ),
        *(
            Setting(
                name=name,
                label=name,
                help="Can be set while DateTimeMode is Set manually.",
                together="clock",
                fleeting="The clock runs by itself.",
            )
            for name in ("Date", "Time")
        ),
    ),
)
ACCESS = Group(
    id="access",
    title="User access control",
    reads=(Ask(cgi.GET_USER_ACCESS),),
    write=cgi.SET_USER_ACCESS,
    extra=_WITHOUT_RESTART,
    settings=_settings(
        cgi.SET_USER_ACCESS,
        helps={"AccessControlEnable": "0 means enabled, unlike at every other switch of this camera."},
    ),
)
IMAGE = Group(
    id="image",
    title="Image",
    reads=(Ask(cgi.GET_IMAGE),),
    write=cgi.SET_IMAGE,
    extra=_WITHOUT_RESTART,
    settings=_settings(
        cgi.SET_IMAGE,
        helps={
            "CompressionRate": "A higher compression makes smaller and poorer pictures.",
            "LightFrequency": "The frequency of the mains; lamps flicker in the picture when it is wrong.",
        },
    ),
)
NETWORK = Group(
    id="network",
    title="Network",
    reads=(Ask(cgi.GET_NETWORK),),
    write=cgi.SET_NETWORK,
    extra=_WITHOUT_RESTART,
    settings=_settings(
        cgi.SET_NETWORK,
        helps={
            "IPAddressMode": "A change takes effect when the camera restarts, which you then do; from DHCP or PPPoE it "
            "gets an address that we cannot know.",
            **dict.fromkeys(("IPAddress", "SubnetMask", "DefaultGateway"), _ONLY_FIXED),
            "SecondHTTPPort": "The camera answers at this port besides port 80.",
        },
    ),
)
WIRELESS = Group(
    id="wireless",
    title="Wireless",
    reads=(Ask(cgi.GET_WIRELESS),),
    write=cgi.SET_WIRELESS,
    extra=_WITHOUT_RESTART,
    settings=_settings(
        cgi.SET_WIRELESS,
        helps={"WEPEncryption": "64 and 128 bits are WEP, which is broken; use WPA wherever the network allows it."},
    ),
)
# Other firmware counts the sequence as 3 and writes -1 for Auto.
_FILE_MODE = {"3": "2"}
UPLOAD = Group(
    id="upload",
    title="FTP upload",
    reads=(Ask(cgi.GET_UPLOAD),),
    write=cgi.SET_UPLOAD,
    extra=_WITHOUT_RESTART,
    settings=_settings(
        cgi.SET_UPLOAD,
        helps={"FTPScheduleDay": _DAYS},
        words={
            "FTPScheduleFramePerSecond": {"-1": "Auto"},
            "FTPScheduleFileMode": _FILE_MODE,
            "FTPManualFileMode": _FILE_MODE,
        },
    ),
)
EMAIL = Group(
    id="email",
    title="E-mail",
    reads=(Ask(cgi.GET_EMAIL),),
    write=cgi.SET_EMAIL,
    extra=_WITHOUT_RESTART,
    settings=_settings(cgi.SET_EMAIL, helps={"EmailScheduleDay": _DAYS}),
)

# The network comes last: a snapshot that is brought back may send the camera to another address, and it restarts then.
GROUPS = (SYSTEM, DATETIME, ACCESS, IMAGE, UPLOAD, EMAIL, WIRELESS, NETWORK)
