"""What can go wrong between us and a device, in our own words.

Every error is a sentence with the next step for the person who reads it, and a Problem, so that the API answers it as
such wherever it leaves an endpoint: 502 for a device that answered wrongly, 504 for one that did not answer, 409 for
one that does not do it now, 422 for one that never will, 503 when our own Redis is away.
"""

from accounts.problems import Problem


class DeviceError(Problem):
    answers_with = 502

    def __init__(self, sentence: str) -> None:
        super().__init__(self.answers_with, sentence)


class Unauthorised(DeviceError):
    """The device does not accept our user name and password, or we pause so that it does not lock us out."""

    answers_with = 409


class UnreadablePassword(Unauthorised):
    """We cannot log in, since the password we keep was encrypted with a SECRET_KEY that we do not have."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"The stored password of {name} cannot be read with the present SECRET_KEY: put the key back, or enter the "
            "password anew."
        )


class Refused(DeviceError):
    """The device understood and said no."""

    answers_with = 409


class SessionGone(Refused):
    """The UID we used is not known to the device any more. The next step is a new one, and needs nobody."""


class Replaced(Refused):
    """Another device answers at the address; nothing is written to it until an administrator accepts it."""


class ClipGone(Refused):
    """The clip that was listed is not on the card any more, or another one has its name."""


class CardGone(Refused):
    """There is no card in the slot, or none that works."""


class CertificateChanged(DeviceError):
    """The device shows another TLS certificate than the one we trust; it was sent nothing."""

    answers_with = 409


class Busy(DeviceError):
    """The device, or the queue before it, is occupied; later is fine."""

    answers_with = 409


class Queued(Busy):
    """Too many of ours wait before the device; it was not asked."""


class NotSupported(DeviceError):
    """This device cannot do it, now or at all."""

    answers_with = 422


class WrongAnswer(DeviceError):
    """Something answered, but not as the document says."""


class Failed(WrongAnswer):
    """The device says that it failed (5xx). Some say so of what they cannot do as they are now."""


class NoAnswer(DeviceError):
    """Nothing answered in time."""

    answers_with = 504


class Interrupted(NoAnswer):
    """The connection broke before the answer was whole."""


class ClosedSilently(Interrupted):
    """The device took the request and closed the connection without a byte."""


class NoCoordination(DeviceError):
    """Redis is away, so that nobody can tell whose turn it is at the device."""

    answers_with = 503

    def __init__(self, doing: str = "send commands to devices") -> None:
        super().__init__(
            f"Cannot {doing} now: the coordination service (Redis) does not answer. Running pictures go on; "
            "try again shortly, and see the health page if it stays so."
        )
