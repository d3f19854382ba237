"""The event log, in the document's own punctuation."""

import re

from tests.simulators.helpers import ADMIN


async def test_the_newest_entry_is_the_first_and_nothing_breaks_the_line(quick):
    await quick.set("set_priority_mode?mode=ip_4k")
    reply = await quick.ask("get_systemlog?type=eventlog", auth=ADMIN)
    assert "\n" not in reply.text
    records = reply.text.removesuffix("$").split("$")
    assert re.fullmatch(r"1\\\d\d/\d\d/\d{4} \d\d:\d\d\\\d{4}\\Priority mode ip_4k", records[0])
    assert records[-1].endswith("Power on")


async def test_a_part_of_the_log_can_be_asked_for(client):
    for mode in ("rec_pb", "ip_4k", "rec_pb_4k"):
        await client.set(f"set_priority_mode?mode={mode}")
    reply = await client.ask("get_systemlog?type=eventlog&num=2&index=2", auth=ADMIN)
    fields = [record.split("\\") for record in reply.text.removesuffix("$").split("$")]
    assert [(row[0], row[3]) for row in fields] == [("2", "Priority mode ip_4k"), ("3", "Priority mode rec_pb")]
    assert (await client.ask("get_systemlog?type=eventlog&index=300", auth=ADMIN)).text == ""


async def test_300_entries_are_kept(client):
    for number in range(310):
        client.device.log.add(1, f"Entry {number}")
    reply = await client.ask("get_systemlog?type=eventlog&num=300&index=1", auth=ADMIN)
    assert reply.text.count("$") == 300
    assert reply.text.startswith("1\\")
    assert reply.text.endswith("Entry 10$")


async def test_what_the_log_cannot_tell_is_refused(client):
    for target in ("get_systemlog", "get_systemlog?type=eventlog&num=301", "get_systemlog?type=eventlog&index=0"):
        assert (await client.ask(target, auth=ADMIN)).status_code == 400
    assert client.violations == ["missing_parameter", "value", "value"]
