"""POVCAM Interface Specifications, Version 1.0, section 3: camera control."""

from dataclasses import replace

from devices.cgi import Choice, Command, Kind, Nothing, Param, Whole, any_of
from devices.families.povcam.commands.row import row

_NOTE = (
    "Control is of the special optional compact camera head. For backward compatibility; the document points to "
    "cgi-bin/aw_ptz, which is described elsewhere."
)


def _control(command_id: str, title: str, *params: Param) -> Command:
    return row(
        command_id,
        "3.1",
        title,
        kind=Kind.CONTROL,
        params=params,
        constraints=(any_of(*(param.name for param in params)),),
        shape=Nothing(),
        note=_NOTE,
    )


_ZOOM = Choice(
    name="zoom",
    choices={
        "1": "Return to default setting",
        "up": "Zoom up one level",
        "down": "Zoom down one level",
        "0": "Return to default setting",
    },
)
_IRIS = Choice(
    name="iris",
    choices={
        "1": "Return to default setting",
        "up": "Turn brightness one level up",
        "down": "Turn brightness one level down",
        "-2": "Turn brightness two levels down",
        "0": "Return brightness to standard value (reset)",
        "2": "Turn brightness two levels up",
    },
)
_FOCUS = Choice(name="focus", choices={"-3": "Near", "3": "Far", "on": "Auto"})

# times, bright and af are older names of zoom, iris and focus; we catalogue both and use the newer ones.
CAMCTRL = _control(
    "camctrl",
    "Camera control",
    replace(_ZOOM, name="times"),
    _ZOOM,
    replace(_IRIS, name="bright"),
    _IRIS,
    _FOCUS,
    replace(_FOCUS, name="af"),
)
# In the English table directctrl has slipped into the columns of camctrl; the Japanese one shows it as its own row.
DIRECTCTRL = _control(
    "directctrl",
    "Camera control direct",
    Whole(name="zoom", low=-4, high=4, note="Negative zooms down, positive zooms up"),
    Whole(name="focus", low=-4, high=4, note="Negative is near, positive is far"),
)

COMMANDS = (CAMCTRL, DIRECTCTRL)
