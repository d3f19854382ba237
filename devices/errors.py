"""What can go wrong between us and a device, in our own words.

Every error is a sentence with the next step for the person who reads it, and a Problem, so that the API answers it as
such wherever it leaves an endpoint: 502 for a device that answered wrongly, 504 for one that did not answer.
"""

from accounts.problems import Problem


class DeviceError(Problem):
    answers_with = 502

    def __init__(self, sentence: str) -> None:
        super().__init__(self.answers_with, sentence)


class Unauthorised(DeviceError):
    """The device does not accept our user name and password, or we pause so that it does not lock us out."""


class Refused(DeviceError):
    """The device understood and said no."""


class Busy(DeviceError):
    """The device, or the queue before it, is occupied; later is fine."""

    answers_with = 409


class NotSupported(DeviceError):
    """This device cannot do it, now or at all."""

    answers_with = 422


class WrongAnswer(DeviceError):
    """Something answered, but not as the document says."""


class NoAnswer(DeviceError):
    """Nothing answered in time."""

    answers_with = 504


class NoCoordination(DeviceError):
    """Redis is away, so that nobody can tell whose turn it is at the device."""

    answers_with = 503

    def __init__(self, doing: str = "send commands to devices") -> None:
        super().__init__(
            f"Cannot {doing} now: the coordination service (Redis) does not answer. Running pictures go on; "
            "try again shortly, and see the health page if it stays so."
        )
