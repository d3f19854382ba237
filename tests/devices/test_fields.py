"""The fields of the documents on a page."""

import pytest

from devices.cgi import Group, schema
from devices.families import driver_class, families
from devices.fields import field_of

GROUPS = [(family, group) for family in families() for group in driver_class(family).all_groups]


@pytest.mark.parametrize(("family", "group"), GROUPS, ids=[f"{family}-{group.id}" for family, group in GROUPS])
def test_every_setting_of_every_family_has_a_field(family: str, group: Group) -> None:
    """Also those that can only be read."""
    facts = schema(group)
    assert facts
    for each in facts:
        field = field_of(each, None)
        assert (field.kind == "output") == each["read_only"]
