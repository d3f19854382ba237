"""Values the documents allow, and values they do not, for property tests of any catalogue."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Any

from hypothesis import strategies as st

from devices.cgi import (
    BadValue,
    Choice,
    Command,
    Digits,
    Fixed,
    Hex,
    Host,
    Ipv4,
    List,
    Mac,
    Moment,
    Param,
    Text,
    Whole,
    encode,
)

LABEL = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9-]{0,6}[A-Za-z0-9])?", fullmatch=True)
NAMES = st.lists(LABEL, min_size=1, max_size=3).map(".".join).filter(lambda name: not name.replace(".", "").isdigit())
PRINTABLE = st.characters(exclude_categories=["C", "Z"]) | st.just(" ")
ISO = {"date": "%Y-%m-%d", "time": "%H:%M:%S", "datetime": "%Y-%m-%dT%H:%M:%S"}


def _text(param: Text) -> st.SearchStrategy[Any]:
    if param.pattern:
        found = st.from_regex(param.pattern, fullmatch=True)
    else:
        found = st.text(PRINTABLE, min_size=param.min_length, max_size=min(param.max_length, 40))
    return found.filter(lambda text: _allowed(param, text))


def _moment(param: Moment) -> st.SearchStrategy[Any]:
    days = (date(param.first_year, 1, 1), date(param.last_year, 12, 31))
    moments = {
        "date": st.dates(*days),
        "time": st.times(),
        "datetime": st.datetimes(datetime.combine(days[0], time.min), datetime.combine(days[1], time.max)),
    }[param.unit]
    return moments.map(lambda moment: moment.strftime(ISO[param.unit]))


def valid(param: Param) -> st.SearchStrategy[Any]:
    """Canonical values: what `read` gives back for them is the same."""
    match param:
        case Fixed():
            return st.just(param.value)
        case Choice():
            return st.sampled_from(list(param.choices))
        case Whole():
            return st.integers(0, (param.high - param.low) // param.step).map(lambda n: param.low + n * param.step)
        case Digits():
            return st.from_regex(rf"[0-9]{{1,{param.max_length}}}", fullmatch=True)
        case Text():
            return _text(param)
        case Hex():
            return st.from_regex(rf"[0-9A-F]{{{param.length}}}", fullmatch=True)
        case Ipv4():
            rest = st.tuples(*[st.integers(0, 255)] * 3)
            found = st.tuples(st.integers(param.low, param.high), rest).map(
                lambda parts: ".".join(map(str, (parts[0], *parts[1])))
            )
            return found | st.just("") if param.blank else found
        case Host():
            ports = st.integers(1, 65535).map(lambda port: f":{port}") | st.just("") if param.port else st.just("")
            found = st.tuples(NAMES | valid(Ipv4(name="x")), ports).map("".join)
            found = found.filter(lambda text: len(text) <= param.max_length)
            return found | st.just("") if param.blank else found
        case Mac():
            return st.from_regex(r"[0-9A-F]{2}(:[0-9A-F]{2}){5}", fullmatch=True)
        case Moment():
            return _moment(param)
        case List():
            return st.lists(valid(param.of), min_size=1, max_size=param.max_items)
    raise AssertionError(f"no values are known for {param}")


def _allowed(param: Param, value: Any) -> bool:
    try:
        param.write(value)
    except BadValue:
        return False
    return True


@st.composite
def values_of(draw: st.DrawFn, command: Command) -> dict[str, Any]:
    """Some of the command's parameters (those that must be there, always), with its conditions kept."""
    values = {}
    for param in command.params:
        if param.required or draw(st.booleans()):
            values[param.name] = draw(valid(param))
    for _ in range(len(command.constraints) + 1):
        for constraint in command.constraints:
            written = {param.name: param.write(values[param.name]) for param in command.params if param.name in values}
            if not constraint.holds(written):
                _mend(draw, command, constraint, values)
    encode(command, values)
    return values


def _mend(draw: st.DrawFn, command: Command, constraint: Any, values: dict[str, Any]) -> None:
    """The first way that helps: give what is missing, or leave out what may not be there."""
    missing = [param for param in command.params if param.name not in values]
    other = getattr(constraint, "other", "")
    if any(param.name == other for param in missing) and not hasattr(constraint, "check"):
        choices = getattr(constraint, "values", ())
        only_when = type(constraint).__name__ == "OnlyWhen"
        values[other] = draw(st.sampled_from(choices)) if only_when and choices else draw(valid(command.param(other)))
    elif constraint.parameter in values and not command.param(constraint.parameter).required:
        del values[constraint.parameter]
    elif missing:
        values[missing[0].name] = draw(valid(missing[0]))
