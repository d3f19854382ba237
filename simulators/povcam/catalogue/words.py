"""The words the document's tables are written with, where they say more than one choice, number or text."""

from __future__ import annotations

import dataclasses
import re
from ipaddress import AddressValueError, IPv4Address

from simulators.auth import Level
from simulators.checking import Command, Pace, Param, number

HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.\-_]{0,253}[A-Za-z0-9])?")


def cgi(
    name: str,
    methods: str,
    level: Level,
    *params: Param,
    pace: Pace = Pace.COMMAND,
    at_least_one: bool = False,
) -> Command:
    """One row group of a table: `methods` as the document prints them, "GET" or "POST/GET"."""
    return Command(f"/cgi-bin/{name}", tuple(methods.split("/")), level, params, pace, at_least_one)


def setter(name: str, *params: Param, methods: str = "POST") -> Command:
    """A setting: for administrators, its parameters may each be left out, but not all."""
    free = [dataclasses.replace(param, required=False) for param in params]
    return cgi(name, methods, Level.ADMIN, *free, at_least_one=True)


def uid() -> Param:
    return number("UID", 1, 2**31 - 1)


def octets(prefix: str, first_low: int = 0, first_high: int = 255) -> tuple[Param, ...]:
    """The four bytes of an address: prefix1 … prefix4."""
    return number(f"{prefix}1", first_low, first_high), *(number(f"{prefix}{place}", 0, 255) for place in (2, 3, 4))


def even(name: str, low: int, high: int) -> Param:
    """Section 6 says of these ports: only even numbers."""
    base = number(name, low, high)
    return Param(name, lambda value: base.allowed(value) and int(value) % 2 == 0, f"an even number, {low} to {high}")


def address(name: str) -> Param:
    """The document's *.*.*.* format."""
    return Param(name, is_address, "an address such as 192.168.0.10")


def multicast(name: str) -> Param:
    def allowed(value: str) -> bool:
        return is_address(value) and IPv4Address(value).is_multicast

    return Param(name, allowed, "an address from 224.0.0.0 to 239.255.255.255")


def screen_address(name: str) -> Param:
    """An address or a host name, with or without a port; nothing takes the camera out of its frame."""

    def allowed(value: str) -> bool:
        host, colon, port = value.partition(":")
        if colon and not number("port", 1, 65535).allowed(port):
            return False
        if re.fullmatch(r"[0-9.]+", host):
            return is_address(host)
        return HOST.fullmatch(host) is not None or value == ""

    return Param(name, allowed, "an address or a host name, with or without :port")


def numbers(name: str, most: int, required: bool = True) -> Param:
    """File numbers with commas between."""

    def allowed(value: str) -> bool:
        each = number("", 1, 65535).allowed
        found = value.split(",")
        return len(found) <= most and all(map(each, found)) and len(set(found)) == len(found)

    return Param(name, allowed, f"up to {most} file numbers with commas between", required)


def is_address(value: str) -> bool:
    try:
        return str(IPv4Address(value)) == value
    except AddressValueError:
        return False
