"""A POVCAM recorder (AG-UMR20), from "POVCAM Interface Specifications, Video Transmission / Clip Operation", version
1.0, sections 2 to 15.

Where things are, by the document's sections:
  catalogue/        every command with its parameters, as the tables print them
  device.py         the recorder put together, and a list of what it decides where the document is silent
  transmission.py   2     replies.py: what it tells of itself
  head.py           3
  configuration.py  4, 5  settings.py: what is kept; clock.py, eventlog.py
  setting_list.py   6
  certificates.py   7
  recording.py      8, 9  cards.py: the cards and what is being done with them
  clips.py          10, 11
  rtsp.py           12, 13
  media.py          14, 15: what is encoded and how it goes; sound.py: 15.4
  answers.py        what the chapters share; oddities.py: ways of other firmware
"""

from simulators.povcam.device import PovcamSimulator

__all__ = ["PovcamSimulator"]
