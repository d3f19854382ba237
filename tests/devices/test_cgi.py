"""The language of the documents: exact in what it sends, liberal in what it reads."""

from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.cgi import (
    HIDDEN,
    Access,
    BadValue,
    Bytes,
    Choice,
    Command,
    Digits,
    Field,
    Fixed,
    FoundField,
    Groups,
    Hex,
    Host,
    Ipv4,
    Joined,
    KeyValues,
    Kind,
    List,
    ListField,
    Mac,
    Moment,
    MomentField,
    Needs,
    Nothing,
    NumberedField,
    NumberField,
    OnlyWhen,
    OnOffField,
    Page,
    Param,
    Post,
    Quoted,
    Records,
    Rows,
    Rule,
    Sections,
    Shape,
    Text,
    Whole,
    any_of,
    decode,
    encode,
    flag,
    flag_field,
    masked,
    numbered,
    octet,
    parse_key_values,
    read_fields,
    read_reply,
    request,
    shown,
)
from tests.devices.strategies import PRINTABLE, valid, values_of


def command(*params: Param, **more: Any) -> Command:
    facts = {"methods": ("GET",), "access": Access.LIVE, "kind": Kind.READ} | more
    return Command(id="x", section="1", path="/x", params=params, **facts)


def reply(text: str, *fields: Field, shape: Shape | None = None) -> dict[str, Any]:
    return read_reply(command(reply=fields, shape=shape or KeyValues()), text)


FOCUS = command(
    Digits(name="UID", max_length=19, required=True, secret=True),
    Choice(name="CTRL", choices={"FAR": "far", "NEAR": "near"}, required=True),
    Fixed(name="CTRL_START", wire="CTRL", value="START"),
)
ZONES = command(Choice(name="TimeZone", choices={"-12": "", "0": "", "+1": ""}))
WHEN = Moment(
    name="TIMEF",
    unit="datetime",
    form="%y%m%d%H%M%S00",
    written="yymmddhhmmssff",
    first_year=2022,
    last_year=2035,
)
ALL = (
    Fixed(name="Reset", value="Yes"),
    Choice(name="rate", choices={"5": "5 fps", "15": "15 fps", "12.5": "12.5 fps"}),
    Whole(name="level", low=-16, high=16),
    Whole(name="port", low=1024, high=50000, step=2),
    Digits(name="UID", max_length=19),
    Text(name="title", max_length=20),
    Text(name="word", max_length=8, pattern="[a-z]*", described="at most 8 small letters"),
    Hex(name="random", length=16),
    Ipv4(name="group", low=224, high=239),
    Host(name="server", port=True, blank=True),
    Mac(name="mac"),
    WHEN,
    Moment(name="Date", unit="date", form="%Y-%m-%d", written="yyyy-mm-dd"),
    Moment(name="Time", unit="time", form="%H:%M:%S", written="hh:mm:ss"),
    List(name="fileno", of=Whole(name="fileno", low=1, high=65535), max_items=50),
)


# --- What is sent -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("row", "values", "query"),
    [
        (FOCUS, {"CTRL": "FAR", "UID": "0788"}, "UID=0788&CTRL=FAR&CTRL=START"),
        (ZONES, {"TimeZone": "+1"}, "TimeZone=%2B1"),
        (ZONES, {"TimeZone": -12}, "TimeZone=-12"),
        (command(*ALL), {}, "Reset=Yes"),
        (command(ALL[1]), {"rate": 12.5}, "rate=12.5"),
        (command(ALL[-1]), {"fileno": [1, 2]}, "fileno=1,2"),
        (command(ALL[-1]), {"fileno": "1,2"}, "fileno=1,2"),
        (command(ALL[-1]), {"fileno": 7}, "fileno=7"),
        (command(WHEN), {"TIMEF": "2022-11-14T12:00:20"}, "TIMEF=22111412002000"),
        (command(Text(name="n", max_length=99)), {"n": "Tür 1 & 2 + #3"}, "n=T%C3%BCr%201%20%26%202%20%2B%20%233"),
        (command(Text(name="n", max_length=99)), {"n": "a,b:c.d-e_f~g/h%"}, "n=a,b:c.d-e_f%7Eg%2Fh%25"),
        (command(Text(name="Image.I1.FPS", max_length=9)), {"Image.I1.FPS": 15}, "Image.I1.FPS=15"),
        (
            command(*numbered(Host(name="multi_addr{n}", port=True), 1, 3)),
            {"multi_addr3": "camera.local:8080", "multi_addr1": "10.0.0.1"},
            "multi_addr1=10.0.0.1&multi_addr3=camera.local:8080",
        ),
    ],
)  # fmt: skip
def test_the_query_is_exactly_the_documents(row: Command, values: dict[str, Any], query: str) -> None:
    assert encode(row, values) == query


@pytest.mark.parametrize(
    ("param", "value", "allowed"),
    [
        (Fixed(name="p", value="2"), 1, "2 (the document fixes it)"),
        (Choice(name="p", choices={"a": "", "b": ""}), "c", "one of a, b"),
        (Choice(name="p", choices={"1": "on"}), True, "1"),
        (Whole(name="p", low=0, high=9), 10, "a whole number from 0 to 9"),
        (Whole(name="p", low=1024, high=50000, step=2), 2001, "an even number from 1024 to 50000"),
        (Whole(name="p", low=1, high=9, step=2), 4, "an odd number from 1 to 9"),
        (Whole(name="p", low=0, high=100, step=10), 15, "a whole number from 0 to 100 in steps of 10"),
        (octet("p"), 256, "a whole number from 0 to 255"),
        (Digits(name="p", max_length=19), "12a", "1 to 19 digits"),
        (Text(name="p", max_length=3), "abcd", "at most 3 characters"),
        (Text(name="p", max_length=9, min_length=2), "a", "2 to 9 characters"),
        (Text(name="p", max_length=9, max_bytes=3), "üü", "at most 9 characters (3 bytes)"),
        (Text(name="p", max_length=9), "a\r\nb", "printable characters only"),
        (Text(name="p", max_length=9, pattern="[a-z]+", described="small letters"), "A", "small letters"),
        (Text(name="p", max_length=9), True, "text"),
        (Hex(name="p", length=16), "12345", "16 hexadecimal digits"),
        (Ipv4(name="p"), "1.2.3", "an IPv4 address"),
        (Ipv4(name="p"), "01.2.3.4", "an IPv4 address"),
        (
            Ipv4(name="p", low=224, high=239),
            "10.0.0.1",
            "an IPv4 address from 224.0.0.0 to 239.255.255.255",
        ),
        (Host(name="p", max_length=64), "a b", "a host name or IPv4 address of at most 64 characters"),
        (Host(name="p", max_length=64), "300.1.1.1", "a host name or IPv4 address of at most 64 characters"),
        (Host(name="p", max_length=64), "a:80", "a host name or IPv4 address of at most 64 characters"),
        (
            Host(name="p", max_length=9, port=True),
            "a:99999",
            "a host name or IPv4 address of at most 9 characters, :1 to :65535 may follow",
        ),
        (Mac(name="p"), "00-40-8C-CD-00-00", "a MAC address such as 00:40:8C:CD:00:00"),
        (ALL[12], "2024-02-30", "a date such as 2024-02-16, year 1970 to 2099"),
        (ALL[13], "24:00:00", "a time such as 23:01:14"),
        (
            Moment(name="p", unit="datetime", form="%y%m%d%H%M%S", written="yy", first_year=2022, last_year=2035),
            "2021-01-01T00:00:00",
            "a date and time such as 2024-02-16T23:01:14, year 2022 to 2035",
        ),
        (List(name="p", of=octet("p"), max_items=2), [1, 300], "a whole number from 0 to 255"),
    ],
)  # fmt: skip
def test_a_value_outside_the_document_is_refused_with_a_sentence(param: Param, value: Any, allowed: str) -> None:
    with pytest.raises(BadValue) as refused:
        encode(command(param), {param.name: value})
    assert refused.value.parameter == param.name
    assert (refused.value.status, refused.value.field) == (400, param.name), "the API answers so"
    assert str(refused.value).startswith(f"{param.name} cannot be ")
    assert str(refused.value).endswith(f"; use {allowed}.")


@pytest.mark.parametrize("count", [0, 51])
def test_a_list_is_refused_when_it_is_too_long_or_empty(count: int) -> None:
    with pytest.raises(BadValue, match=f"fileno cannot have {count} values; use 1 to 50 of them"):
        encode(command(ALL[-1]), {"fileno": list(range(1, count + 1))})


@pytest.mark.parametrize("value", ["1_0", " 1", "１", "1.0", "", "+1", True, "9" * 19, 1.0, [1], None])
def test_a_number_is_plain_digits(value: Any) -> None:
    with pytest.raises(BadValue):
        encode(command(Whole(name="n", low=-10, high=10, required=True)), {"n": value})


def test_a_refused_secret_is_not_repeated() -> None:
    with pytest.raises(BadValue, match=r"^UID cannot be that value; use 1 to 19 digits.$"):
        encode(FOCUS, {"UID": "secret", "CTRL": "FAR"})


def test_what_is_missing_or_unknown_is_refused() -> None:
    with pytest.raises(BadValue, match=r"^x needs UID.$"):
        encode(FOCUS, {"CTRL": "FAR"})
    with pytest.raises(BadValue, match=r"^x has no parameter HTML; it knows UID, CTRL, CTRL_START.$"):
        encode(FOCUS, {"HTML": "camindex.html"})


def test_what_the_document_does_not_describe_is_never_sent() -> None:
    with pytest.raises(BadValue, match=r"x cannot be run: the document gives it no body"):
        encode(command(unrunnable="the document gives it no body."))


def test_conditions_between_parameters_are_checked() -> None:
    row = command(
        flag("audio"),
        Choice(name="audio_sens", choices={"sdi": "", "middle": ""}),
        constraints=(OnlyWhen("audio_sens", "audio", ("1",)), Needs("audio", "audio_sens", ("1",))),
    )
    assert encode(row, {"audio": 0}) == "audio=0"
    assert encode(row, {"audio_sens": "sdi", "audio": 1}) == "audio=1&audio_sens=sdi"
    with pytest.raises(BadValue, match=r"^audio=1 needs audio_sens with it.$"):
        encode(row, {"audio": 1})
    for alone in ({"audio_sens": "sdi"}, {"audio_sens": "sdi", "audio": 0}):
        with pytest.raises(BadValue, match=r"^audio_sens can be set only together with audio=1.$"):
            encode(row, alone)


def test_other_conditions_are_functions_with_a_sentence() -> None:
    keys = Rule("Key1", "Key1 must have 5 or 13 characters.", lambda given: len(given.get("Key1", "12345")) in (5, 13))
    row = command(Text(name="Key1", max_length=26), flag("on"), constraints=(keys, any_of("Key1", "on")))
    assert encode(row, {"Key1": "12345"}) == "Key1=12345"
    with pytest.raises(BadValue, match=r"Key1 must have 5 or 13"):
        encode(row, {"Key1": "1234"})
    with pytest.raises(BadValue, match=r"Give at least one of Key1, on"):
        encode(row, {})


def test_a_post_has_its_parameters_where_the_document_puts_them() -> None:
    row = command(Text(name="Name", max_length=9), methods=("POST", "GET"), post=Post.FORM)
    form = request(row, {"Name": "a b"})
    assert (form.method, form.target, form.body) == ("POST", "/x", b"Name=a%20b")
    assert form.content_type == "application/x-www-form-urlencoded"
    got = request(row, {"Name": "a b"}, "GET")
    assert (got.method, got.target, got.body) == ("GET", "/x?Name=a%20b", b"")
    empty = request(command(flag("a"), methods=("POST",)), {"a": 1})
    assert (empty.method, empty.target, empty.body, empty.content_type) == ("POST", "/x?a=1", b"", "")


def test_secrets_are_hidden_from_people() -> None:
    values = {"UID": "13313", "CTRL": "FAR"}
    assert shown(FOCUS, values) == f"UID={HIDDEN}&CTRL=FAR&CTRL=START"
    assert masked(FOCUS, values) == {"UID": HIDDEN, "CTRL": "FAR"}


def test_choices_are_narrowed_by_options_and_by_what_the_device_has() -> None:
    rate = Choice(
        name="rate",
        choices={"5": "", "15": "", "12.5": ""},
        only_for={"15": ("system_frequency", "59.94"), "12.5": ("system_frequency", "50")},
    )
    row = command(rate)
    assert encode(row, {"rate": "15"}) == "rate=15", "any of them while nothing is known of the device"
    at_50 = row.for_options({"system_frequency": "50"})
    assert list(at_50.params[0].facts()["choices"]) == ["5", "12.5"]
    with pytest.raises(BadValue, match=r"one of 5, 12.5"):
        encode(at_50, {"rate": "15"})
    assert list(row.narrowed({"rate": ["5", "60"]}).params[0].facts()["choices"]) == ["5"]
    assert row.narrowed({"rate": ["nonsense"]}).params == row.params


@given(st.sampled_from(ALL).flatmap(lambda param: st.tuples(st.just(param), valid(param))))
def test_a_value_read_back_from_the_wire_is_the_same(pair: tuple[Param, Any]) -> None:
    param, value = pair
    assert param.read(param.write(value)) == value


@given(values_of(command(*ALL)), st.randoms())
def test_a_query_read_back_is_what_was_written(values: dict[str, Any], random: Any) -> None:
    shuffled = list(values.items())
    random.shuffle(shuffled)
    query = encode(command(*ALL), dict(shuffled))
    assert decode(command(*ALL), query) == values
    assert [name for name, _ in parse_qsl(query, keep_blank_values=True)] == list(values)
    assert query.isascii()
    assert " " not in query
    assert "+" not in query


def test_a_query_of_another_command_is_not_read() -> None:
    assert decode(FOCUS, "UID=1&CTRL=FAR&CTRL=START") == {"UID": "1", "CTRL": "FAR", "CTRL_START": "START"}
    for query in ("UID=1&CTRL=FAR&CTRL=STOP", "UID=1&CTRL=FAR&CTRL=START&CTRL=START", "UID=1&CTRL=START", "CMD=1"):
        with pytest.raises(BadValue):
            decode(FOCUS, query)


@given(st.sampled_from(ALL), st.text(max_size=30) | st.integers() | st.booleans() | st.lists(st.integers(), max_size=3))
def test_any_value_is_either_written_or_refused_by_name(param: Param, value: Any) -> None:
    try:
        text = param.write(value)
    except BadValue:
        with pytest.raises(BadValue, match=param.name) as refused:
            encode(command(param), {param.name: value})
        assert refused.value.parameter == param.name
    else:
        assert param.write(param.read(text)) == text


def test_the_catalogue_publishes_its_rows() -> None:
    facts = command(*ALL, constraints=(any_of("rate", "level"),), reply=(Field("UID"),)).facts()
    by_name = {param["name"]: param for param in facts["params"]}
    for param in by_name.values():
        assert {"name", "type", "required", "fixed", "choices", "min", "max", "max_length"} <= set(param)
    assert by_name["Reset"]["fixed"] == "Yes"
    assert by_name["rate"]["choices"]["12.5"] == "12.5 fps"
    assert (by_name["level"]["min"], by_name["level"]["max"]) == (-16, 16)
    assert by_name["title"]["max_length"] == 20
    assert by_name["fileno"]["max_items"] == 50
    assert facts["reply"] == ["UID"]
    assert facts["constraints"][0]["sentence"] == "Give at least one of rate, level."


# --- What is read -----------------------------------------------------------------------------------------------------
def test_html_around_the_answer_odd_spaces_and_empty_values_are_fine() -> None:
    text = "\r\n<HTML>\r\n<BODY>\r\npriority_mode = ip\r\n  Maxfps=\r\nx=1=2 \nx=later\rlast.one=end\r\n</BODY></HTML>"
    assert parse_key_values(text) == {"priority_mode": "ip", "Maxfps": "", "x": "1=2", "last.one": "end"}


def test_fields_are_typed_aliases_known_and_missing_ones_null() -> None:
    fields = (
        NumberField("aInPort", ("alnPort",)),
        OnOffField("rec"),
        NumberField("rem"),
        Field("title"),
        Field("none"),
        Field("FTPScheduleFileMode"),
        NumberField("size", unit="GB"),
        ListField("sizes"),
        flag_field("trigger"),
        MomentField("at", forms=("%Y-%m-%d %H:%M:%S", "%m-%d-%Y %I:%M:%S %p")),
    )
    raw = {
        "ALNPORT": "33004",
        "rec": "OFF",
        "rem": "-----",
        "title": "",
        "FTPSchedule FileMode": "2",
        "size": "4001GB(R)",
        "sizes": "1024, ,2048,",
        "trigger": "1",
        "at": "10-01-2008 03:37:53 PM",
    }
    assert read_fields(fields, raw) == {
        "aInPort": 33004,
        "rec": False,
        "rem": None,
        "title": "",
        "none": None,
        "FTPScheduleFileMode": "2",
        "size": 4001,
        "sizes": ["1024", "2048"],
        "trigger": True,
        "at": "2008-10-01T15:37:53",
    }


def test_a_prefix_may_be_there_or_not() -> None:
    text = "root.Image.I0.Appearance.Resolution=640x480\r\nImage.I0.Stream.FPS=15\r\nROOT.Layout.X=1"
    names = ("Image.I0.Appearance.Resolution", "Image.I0.Stream.FPS", "Layout.X")
    assert list(reply(text, *map(Field, names), shape=KeyValues(prefix="root.")).values()) == ["640x480", "15", "1"]


def test_items_joined_by_ampersands_are_read() -> None:
    text = "Trigger1=0&Trigger2=1&CurrentTime=2008-10-01 15:37:53\r\n"
    fields = (flag_field("Trigger1"), flag_field("Trigger2"), MomentField("CurrentTime"))
    assert reply(text, *fields, shape=Joined()) == {
        "Trigger1": False,
        "Trigger2": True,
        "CurrentTime": "2008-10-01T15:37:53",
    }


def test_repeated_groups_become_rows() -> None:
    text = "UserName = a\r\nUserPassword = x\r\nUserPrivilege = 1\r\n<result>\r\nUserName=b\r\nUserPrivilege=0\r\n"
    found = reply(text, Field("UserName"), Field("UserPassword", secret=True), Field("UserPrivilege"), shape=Groups())
    assert found["rows"] == [
        {"UserName": "a", "UserPassword": "x", "UserPrivilege": "1"},
        {"UserName": "b", "UserPassword": None, "UserPrivilege": "0"},
    ]


def test_rows_of_cells_are_read_and_headings_passed_over() -> None:
    shape = Rows(
        columns=(Field("disk"), NumberField("size", unit="GB"), NumberField("free", unit="GB"), Field("from")),
        first=r"(MAIN|EXT)[0-9-]+",
    )
    text = (
        "Recording information\r\n\r\nDisk,Capacity,Remain\r\nMAIN-1,4001GB(R),1529GB,2021/11/14\r\nMAIN-2,,,,,,\r\nx=1"
    )
    assert reply(text, Field("x"), shape=shape) == {
        "x": "1",
        "rows": [
            {"disk": "MAIN-1", "size": 4001, "free": 1529, "from": "2021/11/14"},
            {"disk": "MAIN-2", "size": None, "free": None, "from": None},
        ],
    }


def test_quoted_cells_are_grouped_wherever_lines_and_commas_fell() -> None:
    text = (
        'FILENAME=as_errorlog.html\r\nERROR_LOG_NO=2\r\nERROR_LOG="001""2021/11/14 14:10:00","0","CAM 3","GMT+03:00",'
        '"002"\r\n,"2021/11/14 14:48:00","0","CAM 3 RECOVERED","GMT+03:00"\r\n\r\n'
    )
    shape = Quoted(key="ERROR_LOG", columns=tuple(map(Field, ("no", "at", "summer", "text", "zone"))))
    found = reply(text, NumberField("ERROR_LOG_NO"), shape=shape)
    assert found["ERROR_LOG_NO"] == 2
    assert [row["text"] for row in found["rows"]] == ["CAM 3", "CAM 3 RECOVERED"]


def test_numbered_items_are_gathered() -> None:
    connected = NumberedField("CAM_CONNECT", pattern=r"CAM_CONNECT_(\d+)CH", of=NumberField(""))
    text = "<HTML>\r\nCAM_CONNECT_01CH=1\r\nCAM_CONNECT_02CH=2\r\nCAM_CONNECT_128CH=0\r\nMAXUID=16\r\n</HTML>"
    assert reply(text, connected, NumberField("MAXUID")) == {"CAM_CONNECT": {1: 1, 2: 2, 128: 0}, "MAXUID": 16}


def test_something_in_a_page_is_found() -> None:
    uid = FoundField("UID", secret=True, patterns=(r"hdrctl\.cgi\?UID=(\d+)", r"UID=(\d+)"))
    page = '<a href="x?UID=1"><script>this.location.href = "./hdrctl.cgi?UID=13313&HTML=camindex.html"</script>'
    assert reply(page, uid, shape=Page()) == {"UID": "13313"}
    assert reply("<html>", uid, shape=Page()) == {"UID": None}


def test_pictures_and_silence_hold_no_fields() -> None:
    assert reply("\xff\xd8", Field("a"), shape=Bytes()) == {}
    assert reply("a=1", Field("a"), shape=Nothing()) == {}


@given(
    st.text(max_size=300) | st.text(st.sampled_from('a=1,"$\\&\r\n []<>.'), max_size=60),
    st.sampled_from(
        [
            KeyValues(prefix="root."),
            Joined(),
            Groups(),
            Rows(columns=(Field("a"), NumberField("b"))),
            Records(columns=(Field("a"), MomentField("b")), end=r"\$", between=r"\\"),
            Quoted(key="a", columns=(Field("a"), Field("b"))),
            Sections(),
            Page(),
        ]
    ),
)
def test_no_text_is_too_odd_to_read(text: str, shape: Shape) -> None:
    fields = (Field("a"), NumberField("b"), OnOffField("c"), FoundField("d", patterns=(r"a(.)",)))
    assert isinstance(reply(text, *fields, shape=shape), dict)


@given(st.lists(st.tuples(st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.text(PRINTABLE)), unique_by=lambda p: p[0]))
def test_key_values_written_are_key_values_read(pairs: list[tuple[str, str]]) -> None:
    text = "".join(f"{name}={value}\r\n" for name, value in pairs)
    assert parse_key_values(text) == {name: value.strip() for name, value in pairs}
