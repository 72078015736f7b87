"""When an event expires: times of RFC 3339 in the data, a CloudEvents attribute and a header."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.envelope import Envelope, decode_event
from schemas.event import Event, Outcome
from schemas.expiry import HEADER, parse_time
from schemas.question import Question
from schemas.rejection import Header, Reason, Rejected
from schemas.text import Text

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)

EVENTS: dict[type[Event[Outcome]], dict[str, str]] = {
    Question: {"question": "Who?", "context": "Ada."},
    Text: {"text": "Ada."},
}
KINDS = list(EVENTS)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-11-26T12:00:00Z", NOON.timestamp()),
        ("2026-11-26t12:00:00z", NOON.timestamp()),
        ("2026-11-26 12:00:00Z", NOON.timestamp()),
        ("2026-11-27T02:00:00+14:00", NOON.timestamp()),
        ("2026-11-26T12:00:00-00:00", NOON.timestamp()),
        ("2026-11-25T12:01:00-23:59", NOON.timestamp()),
        ("2026-11-26T12:00:00.5Z", NOON.timestamp() + 0.5),
        ("2026-11-26T12:00:00.123456789012345678901234567890Z", NOON.timestamp() + 0.123456),
        ("0001-01-01T00:00:00+14:00", -62135596800 - 14 * 3600),
        ("9999-12-31T23:59:59-12:00", 253402300799 + 12 * 3600),
        # A leap second is the second after it, as in Unix time.
        ("2016-12-31T23:59:60Z", 1483228800),
        ("1990-12-31T15:59:60.25-08:00", 662688000.25),
    ],
)
def test_valid_times_name_an_instant(text: str, seconds: float) -> None:
    assert parse_time(text).timestamp() == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tomorrow",
        "1764158400",
        "2026-11-26",
        "2026-11-26T12:00:00",
        "2026-11-26T12:00Z",
        "2026-11-26T12:00:00,5Z",
        "2026-11-26T12:00:00.Z",
        "2026-11-26T12:00:00+0100",
        "2026-11-26T12:00:00+01",
        "2026-11-26T24:00:00Z",
        "2026-11-26T12:60:00Z",
        "2026-11-26T12:00:61Z",
        "2026-11-26T12:00:00+24:00",
        "2026-11-26T12:00:00+10:60",
        "2026-02-29T12:00:00Z",
        "0000-01-01T00:00:00Z",
        "+2026-11-26T12:00:00Z",
        " 2026-11-26T12:00:00Z",
        "2026-11-26T12:00:00Z\n",
        "２０２６-11-26T12:00:00Z",
        # No leap second ends these minutes.
        "2016-12-31T23:58:60Z",
        "2016-12-30T23:59:60Z",
        "2016-12-31T23:59:60+01:00",
        "0001-01-01T00:59:60+14:00",
        "9999-12-31T23:59:60Z",
    ],
)
@pytest.mark.parametrize("place", ["expires_at", "expirytime", "ce_expirytime", HEADER])
def test_other_texts_are_rejected_by_the_schema(text: str, place: str) -> None:
    with pytest.raises(Rejected) as rejected:
        stating(Question, {place: text})
    assert rejected.value.reason is Reason.SCHEMA
    assert rejected.value.detail.startswith(f"{place.removeprefix('ce_')}: is not a time ")


def stating(kind: type[Event[Outcome]], times: dict[str, Any]) -> Envelope[Event[Outcome]]:
    """An event of this kind with times at these places, decoded. Raises `Rejected`."""
    headers: list[Header] = []
    data: dict[str, Any] = dict(EVENTS[kind])
    if "expires_at" in times:
        data["expires_at"] = times["expires_at"]
    if "expirytime" in times:
        data = {"specversion": "1.0", "id": "e", "data": data, "expirytime": times["expirytime"]}
    elif "ce_expirytime" in times:
        headers += [("ce_specversion", b"1.0"), ("CE_ExpiryTime", header(times["ce_expirytime"]))]
    if HEADER in times:
        headers.append((HEADER.upper(), header(times[HEADER])))
    value = json.dumps(data).encode()
    return decode_event(kind, value, headers, default_id="d", max_bytes=len(value))


def header(value: str | bytes | None) -> bytes | None:
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value


PLACES = [
    ("expires_at", HEADER),
    ("expires_at", HEADER, "expirytime"),
    ("expires_at", HEADER, "ce_expirytime"),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("places", PLACES)
@given(st.data())
def test_the_earliest_of_all_places_counts(
    kind: type[Event[Outcome]], places: tuple[str, ...], data: st.DataObject
) -> None:
    times = data.draw(
        st.dictionaries(
            st.sampled_from(places),
            st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat),
        )
    )
    expected = min((datetime.fromisoformat(text) for text in times.values()), default=None)
    assert stating(kind, times).event.expires_at == expected


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("places", PLACES)
@given(st.data())
def test_any_text_in_any_place_is_a_time_or_rejected_by_the_schema(
    kind: type[Event[Outcome]], places: tuple[str, ...], data: st.DataObject
) -> None:
    nearly = st.from_regex(
        r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)?", fullmatch=True
    )
    texts = st.text(max_size=30) | nearly
    times = data.draw(st.dictionaries(st.sampled_from(places), texts, min_size=1))
    try:
        event = stating(kind, times).event
    except Rejected as rejected:
        reason = rejected.reason
    else:
        assert event.expires_at is not None
        assert isinstance(event.expires_at.timestamp(), float)
        written = json.loads(event.model_dump_json())
        assert kind.model_validate(written).expires_at == event.expires_at
        return
    assert reason is Reason.SCHEMA


@pytest.mark.parametrize("place", ["expires_at", "expirytime", "ce_expirytime", HEADER])
def test_null_states_no_time(place: str) -> None:
    assert stating(Question, {place: None}).event.expires_at is None


@pytest.mark.parametrize("value", [0, 1764158400, 1.5, True, [], {}])
@pytest.mark.parametrize("place", ["expires_at", "expirytime"])
def test_a_time_is_a_string(place: str, value: object) -> None:
    with pytest.raises(Rejected, match=f"schema: {place}: is not a time with a zone") as rejected:
        stating(Question, {place: value})
    assert rejected.value.reason is Reason.SCHEMA


def test_header_of_bytes_that_are_not_utf_8_is_rejected() -> None:
    with pytest.raises(Rejected, match=HEADER):
        stating(Question, {HEADER: b"\xff"})


def test_expirytime_in_plain_json_is_ignored() -> None:
    value = json.dumps({**EVENTS[Question], "expirytime": "soon"}).encode()
    decoded = decode_event(Question, value, (), default_id="d", max_bytes=1000)
    assert decoded.event.expires_at is None
    assert decoded.ignored == ("expirytime",)


def test_fractions_beyond_microseconds_are_cut_off() -> None:
    nines = "2026-11-26T11:59:59.9999999Z"
    assert parse_time(nines) == NOON - timedelta(microseconds=1)
