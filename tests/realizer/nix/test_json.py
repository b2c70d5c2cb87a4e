"""What Nix prints is read the same from every version of it; what none of them prints is refused, never crashed on."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repx.agent.base.digest import NIX_ALPHABET, nix_base32
from repx.model.closure import StorePath
from repx.realizer.nix.evaluation import Question, expression, nix_string, parse_evaluation
from repx.realizer.nix.json import (
    UnreadableAnswerError,
    parse_metadata,
    parse_path_info,
    parse_sha256,
    parse_version,
)
from repx.realizer.nix.log import BuildLog, Progress, last_lines

SAMPLES = Path(__file__).parents[2] / "golden" / "nix"

BROKEN = "/nix/store/fzrlzqymbdmmhdnbrx7gl4p1j9g80fjy-broken-1.drv"
ABOVE = "/nix/store/yxqkjq1xqd04d6s7cqgd9zjgz381gapf-above-1.drv"


def sample(name: str) -> bytes:
    return (SAMPLES / name).read_bytes()


# ------------------------------------------------------------------------------------------------------------- versions


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("nix (Nix) 2.8.0", (2, 8, 0)),
        ("nix (Nix) 2.3.16", (2, 3, 16)),
        ("nix (Nix) 2.4pre20211006_53e4794", (2, 4)),
        ("nix (Nix) 2.33.0pre20251028_a1b2c3d", (2, 33, 0)),
        ("nix (Lix, like Nix) 2.91.1", (2, 91, 1)),
        ("nix (Determinate Nix 3.5.2) 2.28.3", (2, 28, 3)),
        ("", ()),
        ("command not found", ()),
    ],
)
def test_a_version_is_the_last_number_that_is_told(text: str, version: tuple[int, ...]) -> None:
    assert parse_version(text) == version


# ------------------------------------------------------------------------------------------------------------- metadata


@pytest.mark.parametrize("name", ["flake-metadata-2.8.json", "flake-metadata-2.24.json"])
def test_the_state_of_a_flake_is_the_same_in_every_version(name: str) -> None:
    state = parse_metadata(sample(name))
    assert state.url.startswith("path:/home/ada/flake?lastModified=")
    assert state.revision.startswith("sha256-")
    other = parse_metadata(sample("flake-metadata-2.8.json"))
    assert (state.revision, state.lock) == (other.revision, other.lock)


def test_another_lock_is_another_digest() -> None:
    content = json.loads(sample("flake-metadata-2.8.json"))
    content["locks"]["nodes"]["set"]["locked"]["narHash"] = "sha256-" + "A" * 43 + "="
    changed = parse_metadata(json.dumps(content).encode())
    assert changed.lock != parse_metadata(sample("flake-metadata-2.8.json")).lock


def test_the_url_that_pins_comes_first() -> None:
    content = {"locked": {"rev": "ab"}, "url": "github:a/b", "lockedUrl": "github:a/b/ab", "locks": {}}
    state = parse_metadata(json.dumps(content).encode())
    assert (state.url, state.revision) == ("github:a/b/ab", "ab")


# ------------------------------------------------------------------------------------------------------------ path-info


@pytest.mark.parametrize("name", sorted(path.name for path in SAMPLES.glob("path-info-*.json")))
def test_a_closure_is_the_same_in_every_version(name: str) -> None:
    found = parse_path_info(sample(name))
    assert found == parse_path_info(sample("path-info-2.8.json"))
    assert [one.name.partition("-")[2] for one in found] == [
        "libjq1-1.6-2.1+deb12u3",
        "glibc-2.36-9+deb12u14",
        "libonig5-6.9.8-1",
        "jq-1.6-2.1+deb12u3",
    ]
    glibc = found[1]
    assert glibc.nar_sha256 == "8ac51c1daadde10403972c2660ba22d1a3097d8098b3f61e3af8c00d86fe2d97"
    assert (glibc.nar_size, glibc.references) == (5020600, ())
    assert found[2].references == (glibc.name,)


def test_a_path_that_is_not_valid_is_no_answer() -> None:
    path = f"/nix/store/{'a' * 32}-x"
    for content in ([{"path": path, "valid": False}], {path: None}, {"version": 2, "info": {f"{'a' * 32}-x": None}}):
        with pytest.raises(UnreadableAnswerError, match="is not there"):
            parse_path_info(json.dumps(content).encode())


@pytest.mark.parametrize(
    "path",
    [
        "/home/a/store/" + "a" * 32 + "-x",
        "a" * 32 + "-x/bin",
        "/nix/store/" + "a" * 32 + "-x/bin",
        "../x",
        "/",
        "",
        "x",
    ],
)
def test_only_store_paths_of_nix_store_are_taken(path: str) -> None:
    entry = {"narHash": "sha256-" + "A" * 43 + "=", "narSize": 1, "references": []}
    parse_path_info(json.dumps({f"/nix/store/{'a' * 32}-x": entry}).encode())
    with pytest.raises(UnreadableAnswerError):
        parse_path_info(json.dumps({path: entry}).encode())
    with pytest.raises(UnreadableAnswerError):
        parse_path_info(json.dumps({f"/nix/store/{'a' * 32}-x": {**entry, "references": [path]}}).encode())


@given(st.binary(min_size=32, max_size=32))
def test_a_digest_is_read_from_each_of_its_forms(raw: bytes) -> None:
    sri = base64.b64encode(raw).decode()
    for form in (
        f"sha256-{sri}",
        f"sha256:{raw.hex()}",
        f"sha256:{nix_base32(raw)}",
        {"algorithm": "sha256", "format": "base64", "hash": sri},
        {"algorithm": "sha256", "format": "base16", "hash": raw.hex()},
        {"algorithm": "sha256", "format": "nix32", "hash": nix_base32(raw)},
    ):
        assert parse_sha256(form) == raw.hex()


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
digests = json_values | st.text("sha256-:" + NIX_ALPHABET, max_size=70).map("sha256:".__add__) | st.just("sha256-A=")


@given(digests)
def test_what_is_no_digest_is_refused(value: Any) -> None:
    try:
        assert len(bytes.fromhex(parse_sha256(value))) == 32
    except UnreadableAnswerError:
        pass


names = st.builds(
    "{}-{}".format, st.text(NIX_ALPHABET, min_size=32, max_size=32), st.text("abc.+_-0123", min_size=1, max_size=20)
)
store_paths = st.builds(
    StorePath,
    names,
    st.binary(min_size=32, max_size=32).map(bytes.hex),
    st.integers(0, 2**62),
    st.lists(names, max_size=3, unique=True).map(lambda found: tuple(sorted(found))),
)


@given(st.lists(store_paths, max_size=5, unique_by=lambda one: one.name))
def test_what_is_printed_in_any_form_is_read_back(paths: list[StorePath]) -> None:
    def entry(one: StorePath, prefix: str) -> dict[str, Any]:
        sri = base64.b64encode(bytes.fromhex(one.nar_sha256)).decode()
        return {
            "narHash": f"sha256-{sri}",
            "narSize": one.nar_size,
            "references": [prefix + name for name in one.references],
        }

    whole = "/nix/store/"
    expected = sorted(paths, key=lambda one: one.name)
    for content in (
        [{"path": whole + one.name, **entry(one, whole)} for one in paths],
        {whole + one.name: entry(one, whole) for one in paths},
        {"version": 2, "storeDir": "/nix/store", "info": {one.name: entry(one, "") for one in paths}},
    ):
        assert parse_path_info(json.dumps(content).encode()) == expected


@given(json_values | st.fixed_dictionaries({"locked": json_values, "url": json_values, "locks": json_values}))
def test_no_answer_crashes_a_reader(value: Any) -> None:
    for parse in (parse_metadata, parse_path_info, parse_evaluation):
        for data in (
            json.dumps(value).encode(),
            json.dumps([value]).encode(),
            json.dumps({f"/nix/store/{'a' * 32}-x": value}).encode(),
            json.dumps({"info": {"a" * 32 + "-x": value}, "packages": {"a": value}, "programs": [value]}).encode(),
        ):
            try:
                parse(data)
            except UnreadableAnswerError:
                pass


@pytest.mark.parametrize(
    "data", [b"", b"{", b"null", b"\xff", b"3", b"[" * 100_000, b'{"locked":{},"url":"x","locks":NaN}']
)
def test_what_is_no_json_is_refused(data: bytes) -> None:
    for parse in (parse_metadata, parse_path_info, parse_evaluation):
        with pytest.raises(UnreadableAnswerError):
            parse(data)


def test_any_cut_of_a_real_answer_is_refused() -> None:
    for name, parse in (
        ("flake-metadata-2.8.json", parse_metadata),
        ("path-info-2.8.json", parse_path_info),
        ("eval-2.8.json", parse_evaluation),
    ):
        data = sample(name).rstrip()
        for length in range(0, len(data), 7):
            with pytest.raises(UnreadableAnswerError):
                parse(data[:length])


# ----------------------------------------------------------------------------------------------------------- evaluation


def test_an_evaluation_tells_each_attribute_apart() -> None:
    found = parse_evaluation(sample("eval-2.8.json"))
    assert sorted(found.packages) == ["bash", "jq", "nested.inner", "python3", "tiny"]
    jq = found.packages["jq"]
    assert (jq.outputs, jq.program, jq.version) == (("out",), "jq", "1.6-2.1+deb12u3")
    assert jq.names == ("ng0pwkd76hymax00dn3fmgmb9ka45rnr-jq-1.6-2.1+deb12u3",)
    assert jq == found.packages["nested.inner"]
    assert found.failed == ("thrower",)
    assert sorted(found.absent) == ["jp", "nested.outer"]
    assert found.absent["nested.outer"] == ("nested.inner",)
    assert "jq" in found.absent["jp"]
    assert found.other == {"text": ("string", ())}
    assert found.present == {"jq"}
    assert ("jq", "jq", jq.names[:1]) in found.listed


@pytest.mark.parametrize("text", ["", 'a"b', "${x}", "\\${x}", "\\", "$${x}", "$$", "ü\n\t", "'' ${'' x}"])
def test_a_text_cannot_leave_its_quotes(text: str) -> None:
    """As Nix reads a string: a backslash takes the next character as it is, `${` starts an expression."""
    literal = nix_string(text)
    assert (literal[0], literal[-1]) == ('"', '"')
    inside, read, place = literal[1:-1], "", 0
    while place < len(inside):
        assert inside[place] != '"'
        assert inside[place : place + 2] != "${"
        place += inside[place] == "\\"
        read += inside[place]
        place += 1
    assert read == text


def test_the_question_is_data_in_the_expression() -> None:
    text = expression(Question('path:/a"b', "x86_64-linux", ['"; abort "'], []))
    assert text.endswith('")')
    assert '"; abort "' not in text


# ------------------------------------------------------------------------------------------------------------ build log


def heard(name: str) -> tuple[BuildLog, list[Progress]]:
    log = BuildLog()
    progress = [log.read_line(line) for line in sample(name).decode().splitlines()]
    return log, [one for one in progress if one is not None]


def test_a_build_tells_how_far_it_is() -> None:
    log, progress = heard("build-log-2.8-success.txt")
    assert progress[-2:] == [Progress(0, 1, "tiny-1"), Progress(1, 1, "tiny-1")]
    assert log.failed() == []
    (lines,) = log.logs.values()
    assert lines == ["hello", "again 6"]


@pytest.mark.parametrize("name", ["build-log-2.8-failure.txt", "build-log-2.31-failure.txt"])
def test_a_failure_names_what_failed_by_itself_first_and_its_last_lines(name: str) -> None:
    log, _ = heard(name)
    assert log.failed() == [BROKEN, ABOVE]
    assert log.logs[BROKEN] == ["working", "at work", "it failed"]
    assert log.reason(BROKEN).endswith("failed with exit code 3" + "." * ("2.31" in name))
    assert BROKEN in log.reason(BROKEN)
    assert "\x1b" not in last_lines("\n".join(log.errors))


def test_a_log_keeps_its_last_lines_without_colours_and_bells() -> None:
    log = BuildLog()
    log.read_line('@nix {"action":"start","id":1,"type":105,"fields":["/nix/store/x.drv"]}')
    for number in range(1000):
        log.read_line(
            json.dumps({"action": "result", "id": 1, "type": 101, "fields": [f"\x1b[1m{number}\x07\r"]}).join(
                ["@nix ", ""]
            )
        )
    assert log.logs["/nix/store/x.drv"] == [str(number) for number in range(980, 1000)]


def test_what_has_stopped_is_not_what_a_build_is_at() -> None:
    log = BuildLog()
    for line in (
        '{"action":"start","id":9,"type":104}',
        '{"action":"start","id":1,"type":105,"fields":["/nix/store/0-long.drv"]}',
        '{"action":"start","id":2,"type":105,"fields":["/nix/store/0-short.drv"]}',
        '{"action":"stop","id":2}',
    ):
        assert log.read_line(f"@nix {line}") is None
    assert log.read_line('@nix {"action":"result","id":9,"type":105,"fields":[1,2,1,0]}') == Progress(1, 2, "long")


events = st.fixed_dictionaries(
    {},
    optional={
        "action": st.sampled_from(["msg", "start", "result", "stop"]) | json_values,
        "id": st.integers(1, 3) | json_values,
        "type": st.sampled_from([101, 104, 105]) | json_values,
        "fields": st.lists(json_values, max_size=4) | json_values,
        "msg": json_values,
    },
)


@given(st.lists(st.text() | events.map(lambda event: "@nix " + json.dumps(event)) | st.text().map("@nix ".__add__)))
def test_no_log_crashes_its_reader(lines: list[str]) -> None:
    log = BuildLog()
    for line in lines:
        log.read_line(line)
    for drv in ["", *log.failed()]:
        log.reason(drv)
    last_lines("\n".join(log.errors))


def test_last_words_leave_warnings_and_traces_out() -> None:
    said = (
        "warning: Git tree is dirty\n\x1b[31;1merror:\x1b[0m\n       … while evaluating the attribute 'x'\n\n"
        "       error: it has no c\n(use '--show-trace' to show detailed location information)\n"
    )
    assert last_lines(said) == "error:\n       error: it has no c"
    assert last_lines("\n".join(map(str, range(100))), 3) == "97\n98\n99"
