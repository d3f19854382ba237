"""The language of the documents: exact in what it sends, liberal in what it reads."""

from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from django.conf import settings
from hypothesis import given
from hypothesis import strategies as st

from devices.cgi import (
    Access,
    BadValue,
    Choice,
    Command,
    Digits,
    Field,
    Fixed,
    Kind,
    NumberField,
    OnOffField,
    Param,
    Text,
    Whole,
    encode,
    parse_key_values,
    read_fields,
)
from devices.families.povcam import commands as povcam

REALWORLD = settings.BASE_DIR.parent / "shared" / "realworld" / "panasonic"


def command(*params: Param) -> Command:
    return Command(id="x", section="1", path="/x", methods=("GET",), access=Access.LIVE, kind=Kind.READ, params=params)


# --- What is sent -----------------------------------------------------------------------------------------------------
GOLDEN: list[tuple[Command, dict[str, Any], str]] = [
    (povcam.GETUID, {"vcodec": "h264"}, "FILE=2&vcodec=h264"),
    (povcam.GETUID, {"vcodec": "h264_2", "reply": "info", "FILE": 2}, "FILE=2&vcodec=h264_2&reply=info"),
    (povcam.GETINFO, {}, "FILE=1"),
    (povcam.GET_CAPABILITY, {}, ""),
    (
        povcam.JPEG,
        {"UID": 263, "connect": "start", "framerate": "12.5", "resolution": 640},
        "connect=start&framerate=12.5&resolution=640&UID=263",
    ),
    (povcam.MJPEG, {"framerate": 15, "resolution": 640}, "resolution=640&framerate=15"),
    (povcam.MJPEG, {}, ""),
    (povcam.VIEW, {"action": "start"}, "action=start"),
    (povcam.VIEW, {"n": 3333, "action": "snapshot"}, "action=snapshot&n=3333"),
    (povcam.CAMERA, {"page": 1, "resolution": 640}, "resolution=640&page=1"),
    (
        povcam.H264,
        {"stream": 1, "UID": "263", "protocol": "rtp", "connect": "start", "my_port": 40000},
        "my_port=40000&connect=start&protocol=rtp&UID=263&stream=1",
    ),
    (
        povcam.AUDIO,
        {"UID": "263", "protocol": "rtp", "connect": "start", "my_port": 38004},
        "my_port=38004&connect=start&protocol=rtp&UID=263&mode=in",
    ),
    (povcam.KEEP_ALIVE, {"mode": "jpeg", "protocol": "http", "UID": "263"}, "mode=jpeg&protocol=http&UID=263"),
    (
        povcam.KEEP_ALIVE,
        {"mode": "h.264_2", "protocol": "rtp", "UID": "0263", "stream": 2},
        "mode=h.264_2&protocol=rtp&UID=0263&stream=2",
    ),
    (povcam.SET_PRIORITY_MODE, {"mode": "ip"}, "mode=ip"),
    (povcam.SET_BASIC, {"cam_title": "UCK20"}, "cam_title=UCK20"),
    (
        povcam.SET_BASIC,
        {"plugin_disp": 0, "cam_title": "Tür 1 & 2 + #3", "plugin_download": "enable"},
        "cam_title=T%C3%BCr%201%20%26%202%20%2B%20%233&plugin_download=enable&plugin_disp=0",
    ),
    (povcam.SET_BASIC, {"cam_title": "a,b:c.d-e_f~g/h%"}, "cam_title=a,b:c.d-e_f%7Eg%2Fh%25"),
    (povcam.GET_PRIORITY_MODE, {}, ""),
    (povcam.GET_BASIC, {}, ""),
    (povcam.GET_STATE, {}, ""),
]


@pytest.mark.parametrize(("row", "values", "query"), GOLDEN, ids=lambda each: getattr(each, "id", ""))
def test_the_query_is_exactly_the_documents(row: Command, values: dict[str, Any], query: str) -> None:
    assert encode(row, values) == query


def test_every_command_of_the_catalogue_has_a_golden_request() -> None:
    assert {row.id for row in povcam.CATALOGUE} == {row.id for row, _, _ in GOLDEN}


@pytest.mark.parametrize(
    ("row", "values", "sentence"),
    [
        (povcam.GETUID, {}, "getuid needs vcodec."),
        (povcam.GETUID, {"vcodec": "h265"}, "vcodec cannot be 'h265'; use one of jpeg, h264, h264_2."),
        (povcam.GETUID, {"vcodec": "h264", "FILE": 1}, "FILE cannot be 1; use 2 (the document fixes it)."),
        (povcam.VIEW, {"action": "snapshot", "n": -1}, "n cannot be -1; use a whole number from 0 to 999999999."),
        (povcam.H264, {"connect": "start", "UID": "12a"}, "UID cannot be that value; use 1 to 19 digits."),
        (povcam.SET_BASIC, {"cam_title": "x" * 21}, f"cam_title cannot be {'x' * 21!r}; use at most 20 characters."),
        (povcam.SET_BASIC, {"cam_title": "a\r\nb"}, "cam_title cannot be 'a\\r\\nb'; use printable characters only."),
        (povcam.GET_STATE, {"x": 1}, "get_state has no parameter x; it knows none."),
    ],
)  # fmt: skip
def test_what_the_document_does_not_allow_is_refused_with_a_sentence(
    row: Command, values: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(BadValue) as refused:
        encode(row, values)
    assert str(refused.value) == sentence
    assert refused.value.parameter in sentence


@pytest.mark.parametrize("value", ["1_0", " 1", "１", "1.0", "", "+1", True, "9" * 19])
def test_a_number_is_plain_digits(value: Any) -> None:
    with pytest.raises(BadValue):
        encode(command(Whole(name="n", low=-10, high=10)), {"n": value})


printable = st.text(st.characters(exclude_categories=["C", "Z"]) | st.just(" "), max_size=40)
WORDS = ["a,b", "h.264", "4 K", "-2"]
PARAMS = st.one_of(
    st.tuples(st.just(Text(name="", max_length=40)), printable),
    st.tuples(st.just(Whole(name="", low=-(10**6), high=10**6)), st.integers(-(10**6), 10**6)),
    st.tuples(st.just(Digits(name="", max_length=19)), st.from_regex(r"\A[0-9]{1,19}\Z")),
    st.tuples(st.just(Choice(name="", choices=dict.fromkeys(WORDS, ""))), st.sampled_from(WORDS)),
    st.tuples(st.just(Fixed(name="", value="on: off")), st.just("on: off")),
)  # fmt: skip


@given(st.lists(PARAMS, max_size=8), st.randoms())
def test_a_query_read_back_is_what_was_written(pairs: list[tuple[Param, Any]], random: Any) -> None:
    params = [type(param)(**{**_init_fields(param), "name": f"p{i}"}) for i, (param, _) in enumerate(pairs)]
    values = [(param.name, value) for param, (_, value) in zip(params, pairs, strict=True)]
    shuffled = list(values)
    random.shuffle(shuffled)
    query = encode(command(*params), dict(shuffled))
    assert parse_qsl(query, keep_blank_values=True) == [(name, str(value)) for name, value in values]
    assert query.isascii()
    assert " " not in query
    assert "+" not in query


def _init_fields(param: Param) -> dict[str, Any]:
    return {name: value for name, value in vars(param).items() if name != "type"}


@given(st.dictionaries(st.text(max_size=10), st.text(max_size=30) | st.integers(), max_size=4))
def test_any_value_is_either_sent_as_documented_or_refused(values: dict[str, Any]) -> None:
    for row in povcam.CATALOGUE:
        try:
            query = encode(row, values)
        except BadValue:
            continue
        assert [name for name, _ in parse_qsl(query)] == [p.name for p in row.params if f"{p.name}=" in query]


def test_the_catalogue_publishes_its_rows() -> None:
    facts = povcam.GETUID.facts()
    file, vcodec, _ = facts["params"]
    assert (file["name"], file["type"], file["required"], file["fixed"]) == ("FILE", "fixed", True, "2")
    assert list(vcodec["choices"]) == ["jpeg", "h264", "h264_2"]
    assert {"min", "max", "max_length"} <= set(vcodec), "what is not limited is said to be null"
    assert "UID" in facts["reply"]


# --- What is read -----------------------------------------------------------------------------------------------------
def test_html_around_the_answer_odd_spaces_and_empty_values_are_fine() -> None:
    text = "\r\n<HTML>\r\n<BODY>\r\npriority_mode = ip\r\n  Maxfps=\r\nx=1=2 \nx=later\rlast.one=end\r\n</BODY></HTML>"
    assert parse_key_values(text) == {"priority_mode": "ip", "Maxfps": "", "x": "1=2", "last.one": "end"}


@given(st.text(max_size=300))
def test_no_text_is_too_odd_to_read(text: str) -> None:
    read_fields(povcam.GET_STATE.reply, parse_key_values(text))


def test_fields_are_typed_aliases_known_and_missing_ones_null() -> None:
    fields = (
        NumberField("aInPort", ("alnPort",)),
        OnOffField("rec"),
        NumberField("rem"),
        Field("title"),
        Field("none"),
    )
    raw = {"ALNPORT": "33004", "rec": "OFF", "rem": "-----", "title": ""}
    assert read_fields(fields, raw) == {"aInPort": 33004, "rec": False, "rem": None, "title": "", "none": None}


@pytest.mark.skipif(not REALWORLD.exists(), reason="the replies of real devices are not beside the repository")
def test_the_replies_of_a_real_sibling_are_read() -> None:
    info = read_fields(povcam.GETINFO.reply, parse_key_values(_text("AW-HE40_getinfo.txt")))
    assert info["MAC"] == "A8-13-74-BF-40-FD"
    assert info["Maxfps"] == 25
    assert info["aInterval"] == 20, "it calls it aInInterval"
    assert info["aInPort_h264"] == 33004
    state = read_fields(povcam.GET_STATE.reply, parse_key_values(_text("AW-HE40_get_state.txt")))
    assert state["rec"] is False
    assert state["rec_counter"] == "00:00:00"
    assert state["sd_rem"] is None
    assert state["sd2_insert"] is None


def _text(name: str) -> str:
    return Path(REALWORLD / name).read_text()
