"""Section 3: the camera head, which the recorder steers for its clients."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from simulators.http import Answer, Request, Response
from simulators.povcam.answers import OK, Action, Declined, Values

WIDEST, LONGEST = 1, 30  # zoom, up to what get_capability calls el_zoom
DARKEST, BRIGHTEST = -10, 10


@dataclass
class Optics:
    zoom: int = WIDEST
    iris: int = 0
    focus: int = 0
    auto_focus: bool = True
    zoom_speed: int = 0
    focus_speed: int = 0
    """Moving as long as it is not 0."""


class Head:
    def __init__(self, *, present: bool) -> None:
        self.present = present
        self._optics = Optics()
        self.actions: dict[str, Action] = {
            "camctrl": self._camctrl,
            "directctrl": self._directctrl,
            "aw_ptz": self._elsewhere,
            "aw_cam": self._elsewhere,
        }

    def state(self) -> dict[str, Any]:
        return asdict(self._optics)

    def restart(self) -> None:
        self._optics = Optics()

    async def _camctrl(self, values: Values, request: Request) -> Answer:
        self._expect_head()
        optics = self._optics
        for name, value in values.items():
            match name:
                case "times" | "zoom":
                    step = {"up": 1, "down": -1}.get(value)
                    optics.zoom = WIDEST if step is None else min(max(optics.zoom + step, WIDEST), LONGEST)
                case "bright" | "iris":
                    step = {"up": 1, "down": -1, "2": 2, "-2": -2}.get(value)
                    optics.iris = 0 if step is None else min(max(optics.iris + step, DARKEST), BRIGHTEST)
                case "focus" | "af":
                    optics.auto_focus = value == "on"
                    optics.focus += 0 if value == "on" else int(value)
        return OK

    async def _directctrl(self, values: Values, request: Request) -> Answer:
        self._expect_head()
        if "zoom" in values:
            self._optics.zoom_speed = int(values["zoom"])
        if "focus" in values:
            self._optics.focus_speed = int(values["focus"])
            self._optics.auto_focus = False
        return OK

    async def _elsewhere(self, values: Values, request: Request) -> Answer:
        """What another document describes, and this recorder therefore calls an unknown command."""
        self._expect_head()
        return Response(200, b"eR1\r\n" if request.path.endswith("aw_ptz") else b"ER1\r\n")

    def _expect_head(self) -> None:
        if not self.present:
            raise Declined("no_head", "There is no camera head to control.", 404)
