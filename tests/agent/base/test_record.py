"""Records: read back as written; anything else counts as no record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repx.agent.base.record import (
    FORMAT,
    RecordError,
    decode_attempts,
    decode_outcome,
    encode_record,
    find_realization,
    read_attempts,
    read_outcome,
    resolved_key,
)

OUTCOME = {"record": FORMAT, "job": "j", "key": "k" * 32, "index": 0, "outputs": {"r": {"path": "r", "digest": "d"}}}
ATTEMPT = {"start": 1.5, "end": 2.0, "stdout": "a\nb\u2028\ud800", "exit": 0}

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner), max_leaves=4
)


@given(st.dictionaries(st.text(), values), st.lists(st.dictionaries(st.text(), values), max_size=3))
def test_a_round_trip(outcome: dict[str, Any], attempts: list[dict[str, Any]]) -> None:
    data = encode_record({**outcome, "record": FORMAT}, attempts)
    assert decode_outcome(data) == {**outcome, "record": FORMAT}
    assert decode_attempts(data) == attempts


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
