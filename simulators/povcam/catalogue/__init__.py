"""The document's commands, section by section, with its words for what each takes.

Parameters stand in the order of the document's tables, and the simulator wants them so. Two of the document's examples
have another order than its tables (`EXAMPLES`): that order is right as well.
"""

from __future__ import annotations

import dataclasses

from simulators.checking import Command
from simulators.povcam.catalogue.cards import cards
from simulators.povcam.catalogue.https import https
from simulators.povcam.catalogue.information import information
from simulators.povcam.catalogue.settings import settings
from simulators.povcam.catalogue.transmission import camera_control, transmission

EXAMPLES = {
    "/cgi-bin/audio": ("my_port", "connect", "protocol", "UID", "mode"),
    "/cgi-bin/set_audio": (
        "audio",
        "audio_encoder",
        "audio_sens",
        "audio_bitrate",
        "audio_alc",
        "mic_select",
        "plugin_power",
        "audio_transmit",
        "equalizer",
        "audio_lv_auto",
    ),
}


def commands(system_frequency: str) -> dict[str, tuple[Command, ...]]:
    """By path; only `setdata` means two things, by POST and by GET."""
    found: dict[str, tuple[Command, ...]] = {}
    for command in (
        *transmission(system_frequency),
        *camera_control(),
        *settings(system_frequency),
        *information(),
        *https(),
        *cards(),
    ):
        found[command.path] = (*found.get(command.path, ()), command)
    return found


def as_in_the_example(command: Command) -> Command | None:
    """The command with its parameters in the order of its example, where that is another one."""
    order = EXAMPLES.get(command.path)
    if order is None:
        return None
    return dataclasses.replace(command, params=tuple(sorted(command.params, key=lambda param: order.index(param.name))))
