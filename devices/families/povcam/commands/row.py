"""What every row of the POVCAM document has in common."""

from collections.abc import Mapping

from devices.cgi import Access, Choice, Command, Constraint, Field, KeyValues, Kind, NumberField, Param, Shape

# The document only speaks of get_state (9.1: at least 1000 ms). Sibling clients leave 130 ms between any two commands.
GAP = 130
STATE_GAP = 1000

_KEY_VALUES = KeyValues()


def row(
    command_id: str,
    section: str,
    title: str,
    *,
    kind: Kind,
    path: str = "",
    methods: tuple[str, ...] = ("GET",),
    access: Access = Access.LIVE,
    params: tuple[Param, ...] = (),
    constraints: tuple[Constraint, ...] = (),
    reply: tuple[Field, ...] = (),
    shape: Shape = _KEY_VALUES,
    note: str = "",
    danger: str = "",
    danger_for: Mapping[str, tuple[str, ...]] | None = None,
    unrunnable: str = "",
    own_gap: int = 0,
    may_be_silent: bool = False,
) -> Command:
    """A POST carries its parameters in the address, as every example of the document does, and an empty body."""
    return Command(
        id=command_id,
        section=section,
        title=title,
        path=path or f"/cgi-bin/{command_id}",
        methods=methods,
        access=access,
        kind=kind,
        params=params,
        constraints=constraints,
        reply=reply,
        shape=shape,
        note=note,
        danger=danger,
        danger_for=danger_for or {},
        unrunnable=unrunnable,
        gap=GAP,
        own_gap=own_gap,
        may_be_silent=may_be_silent,
    )


def setter(
    command_id: str,
    section: str,
    title: str,
    *params: Param,
    path: str = "",
    methods: tuple[str, ...] = ("POST",),
    constraints: tuple[Constraint, ...] = (),
    note: str = "",
    danger: str = "",
    danger_for: Mapping[str, tuple[str, ...]] | None = None,
) -> Command:
    """A POST for administrators that changes settings."""
    return row(
        command_id,
        section,
        title,
        kind=Kind.WRITE,
        path=path,
        methods=methods,
        access=Access.ADMIN,
        params=params,
        constraints=constraints,
        note=note,
        danger=danger,
        danger_for=danger_for,
    )


def frame_rates(*rates: str) -> Choice:
    """Frame rates of a table: `15(12.5)` is 15 fps, or 12.5 when the system frequency is 50 Hz."""
    choices: dict[str, str] = {}
    only_for: dict[str, tuple[str, str]] = {}
    for rate in rates:
        usual, _, at_50 = rate.rstrip(")").partition("(")
        choices[usual] = f"{usual} fps"
        if at_50:
            choices[at_50] = f"{at_50} fps (system frequency 50 Hz)"
            only_for |= {usual: ("system_frequency", "59.94"), at_50: ("system_frequency", "50")}
    return Choice(name="framerate", choices=choices, only_for=only_for)


def texts(*names: str) -> tuple[Field, ...]:
    return tuple(Field(name) for name in names)


def numbers(*names: str) -> tuple[Field, ...]:
    return tuple(NumberField(name) for name in names)
