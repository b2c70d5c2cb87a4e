"""Records: read back as written; anything else counts as no record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repx.agent.base.found import find_realization, read_outputs
from repx.agent.base.layout import RECORD
from repx.agent.base.record import (
    Attempt,
    LogFile,
    Outcome,
    OutputRecord,
    RecordError,
    decode_attempts,
    decode_outcome,
    encode_record,
    read_attempts,
    read_outcome,
    resolved_key,
)
from repx.agent.base.state import State

OUTCOME = Outcome("j", "s", "1", 0, "k" * 32, State.SUCCEEDED, "lab", {}, {"r": OutputRecord("r", "d", 1)})
ATTEMPT = Attempt(start=1.5, end=2.0, stdout="a\nb\u2028\ud800", exit=0)

seconds = st.floats(0, 1e12)
logs = st.text() | st.sampled_from([LogFile("stdout-1.log"), LogFile("ä \n")])
codes = st.none() | st.integers(-255, 255)
attempts_drawn = st.builds(
    Attempt, seconds, seconds, st.text(), st.text(), codes, codes, st.text(), st.text(), st.integers(0),
    seconds, st.text(), logs, logs, passed_env=st.dictionaries(st.text(), st.none() | st.text()),
)  # fmt: skip
paths = st.sampled_from(["r", "a/b", "ä\n", "..x"])
outputs_drawn = st.dictionaries(st.text(), st.builds(OutputRecord, paths, st.text(), st.integers(0)))
inputs_drawn = st.dictionaries(st.text(), st.none() | st.text() | st.lists(st.text()))
outcomes_drawn = st.builds(
    Outcome, st.text(), st.text(), st.text(), st.integers(0), st.text(),
    st.sampled_from([State.SUCCEEDED, State.FAILED]), st.text(), inputs_drawn, outputs_drawn,
    chosen=st.dictionaries(st.text(), st.lists(st.integers(0))), adopted=st.text(), is_private=st.booleans(),
    numbers=st.dictionaries(st.text(), st.text()),
)  # fmt: skip


@given(outcomes_drawn, st.lists(attempts_drawn, max_size=3))
def test_a_round_trip(outcome: Outcome, attempts: list[Attempt]) -> None:
    data = encode_record(outcome, attempts)
    assert decode_outcome(data) == outcome
    assert decode_attempts(data) == attempts


def changed(line: int, **fields: Any) -> bytes:
    """A record of which one line has other fields; None takes one away."""
    lines = [json.loads(text) for text in encode_record(OUTCOME, [ATTEMPT]).splitlines()]
    lines[line].update(fields)
    return b"".join(
        json.dumps({name: value for name, value in one.items() if value is not ...}, default=str).encode() + b"\n"
        for one in lines
    )


@pytest.mark.parametrize(
    "fields",
    [
        *({name: ...} for name in ("record", "job", "index", "key", "state", "inputs", "outputs")),
        {"index": "0"}, {"index": True}, {"key": None}, {"inputs": []}, {"outputs": []}, {"outputs": {"r": "r"}},
        {"outputs": {"r": {"path": "../r", "digest": "d", "size": 1}}},
        {"outputs": {"r": {"path": "/etc/passwd", "digest": "d", "size": 1}}},
        {"outputs": {"r": {"path": "r", "digest": "d"}}},
        {"outputs": {"r": {"path": ["r"], "digest": "d", "size": 1}}},
    ],
)  # fmt: skip
def test_an_outcome_of_another_shape_is_no_outcome(fields: dict[str, Any]) -> None:
    with pytest.raises(RecordError):
        decode_outcome(changed(0, **fields))


@pytest.mark.parametrize(
    "fields",
    [{"start": "1"}, {"exit": True}, {"max_rss": 1.5}, {"stdout": ["x"]}, {"stdout": {}}, {"stderr": {"file": "../x"}},
     {"stderr": {"file": "/etc/passwd"}}, {"stderr": {"file": 1}}],
)  # fmt: skip
def test_an_attempt_of_another_shape_is_no_attempt(fields: dict[str, Any]) -> None:
    with pytest.raises(RecordError):
        decode_attempts(changed(1, **fields))


def test_truncated_anywhere_it_is_none_or_lacks_attempts() -> None:
    data = encode_record(OUTCOME, [ATTEMPT, ATTEMPT])
    first = data.index(b"\n")
    for length in range(len(data)):
        if length <= first:
            with pytest.raises(RecordError):
                decode_outcome(data[:length])
        else:
            assert decode_outcome(data[:length]) == OUTCOME
            try:
                assert decode_attempts(data[:length]) in ([], [ATTEMPT], [ATTEMPT, ATTEMPT])
            except RecordError:
                continue


@pytest.mark.parametrize(
    "data", [b"", b"\n", b"[]\n", b"{}\n", b'{"record":2}\n', b'{"record":1}', b"\xff\xfe\n", b"\0" * 512]
)
def test_what_is_no_record(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(RecordError):
        decode_outcome(data)
    (tmp_path / "record.jsonl").write_bytes(data)
    assert read_outcome(str(tmp_path / "record.jsonl")) is None
    assert find_realization(str(tmp_path), 0, "k" * 32) is None


def test_no_file(tmp_path: Path) -> None:
    assert read_outcome(str(tmp_path / "none")) is None
    assert read_attempts(str(tmp_path / "none")) == []


def test_a_realization_is_found_where_it_stands(tmp_path: Path) -> None:
    key = "k" * 32
    for directory in (tmp_path, tmp_path / "0-kkkkkkkk"):
        (directory / "out").mkdir(parents=True)
        (directory / "out" / "r").write_text("x")
        (directory / "record.jsonl").write_bytes(encode_record(OUTCOME, []))
    assert find_realization(str(tmp_path), 0, "other" + "k" * 27) is None
    assert find_realization(str(tmp_path), 1, key) is None
    found = find_realization(str(tmp_path), 0, key)
    assert found is not None
    assert found[0] == str(tmp_path)
    # On its way to another place a result has two records, and outputs at one of them.
    (tmp_path / "out" / "r").unlink()
    found = find_realization(str(tmp_path), 0, key)
    assert found is not None
    assert found[0] == str(tmp_path / "0-kkkkkkkk")
    (tmp_path / "0-kkkkkkkk" / "out" / "r").unlink()
    assert find_realization(str(tmp_path), 0, key) is None


def test_a_key_tells_recipe_index_names_files_and_contents_apart() -> None:
    keys = {
        resolved_key("r", 0, []),
        resolved_key("s", 0, []),
        resolved_key("r", 1, []),
        resolved_key("r", 0, [("a", "f", "d")]),
        resolved_key("r", 0, [("b", "f", "d")]),
        resolved_key("r", 0, [("a", "g", "d")]),
        resolved_key("r", 0, [("a", "f", "e")]),
        resolved_key("r", 0, [("a", "f", "d"), ("a", "f", "e")]),
        resolved_key("r", 0, [("a", "f", "e"), ("a", "f", "d")]),
    }
    assert len(keys) == 9


DIGEST, KEY = "0" * 64, "k" * 32


@pytest.mark.parametrize(
    ("changes", "is_found"),
    [
        ({}, True),
        ({"outputs": {}}, True),
        ({"outputs": {"a": OutputRecord("a.txt", DIGEST, 1), "b": OutputRecord("sub/b", DIGEST, 20)}}, True),
        ({"inputs": {"key": "z" * 32, "more": ["x", "y"], "none": None}}, True),
        ({"outputs": {"a": OutputRecord("gone", DIGEST, 1)}}, False),
        ({"outputs": {"a": OutputRecord("d\u00e9j\u00e0", DIGEST, 1)}}, True),
        ({"outputs": {"a": OutputRecord("../out/a.txt", DIGEST, 1)}}, False),
        ({"state": State.FAILED}, True),
        ({"realization": 1}, False),
        ({"key": "y" * 32}, False),
        ({"stage": f'","key":"{KEY}","state":"succeeded"'}, True),
        ({"lab": f'","key":"{KEY}","state":"succeeded"', "key": "y" * 32}, False),
    ],
)
def test_reading_outputs_quickly_and_with_care_comes_to_the_same(
    tmp_path: Path, changes: dict[str, Any], is_found: bool
) -> None:
    outcome = Outcome("j", "s", "1", 0, KEY, State.SUCCEEDED, "l" * 32, {}, {"a": OutputRecord("a.txt", DIGEST, 1)})
    for name in ("out/a.txt", "out/sub/b", "out/d\u00e9j\u00e0"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / RECORD).write_bytes(encode_record(outcome._replace(**changes), []))
    careful = find_realization(str(tmp_path), 0, KEY)
    assert (careful is not None) == is_found
    quick = read_outputs(str(tmp_path), KEY)
    # What is unusual is left to those who take their time.
    assert quick is None or (careful is not None and quick == careful[1].outputs)
    if changes.keys() <= {"inputs"}:
        assert quick is not None
