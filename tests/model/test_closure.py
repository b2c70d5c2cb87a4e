"""Closures as a Lab records them: written and read back the same, and nothing is taken that could lead elsewhere."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repx.agent.base.digest import NIX_ALPHABET
from repx.model.closure import STORE_DIR, Closure, Flake, StorePath, is_store_name, name_of, parse_closure

FLAKE = Flake("./nix", "sha256-x", "0" * 32, "x86_64-linux")


def name(text: str) -> str:
    return f"{'0123456789abcdfghijklmnpqrsvwxyz'}-{text}"


def path(text: str, *references: str) -> StorePath:
    return StorePath(name(text), "0" * 64, 8, tuple(sorted(map(name, references))))


def closure(*paths: StorePath) -> Closure:
    return Closure(FLAKE, {one.name: one for one in paths})


GRAPH = closure(
    path("jq", "glibc", "onig"),
    path("onig", "glibc"),
    path("glibc", "glibc"),
    path("a", "b"),
    path("b", "a"),
    path("gcc", "glibc"),
)


@pytest.mark.parametrize(
    ("roots", "expected"),
    [
        ([], []),
        (["jq"], ["glibc", "jq", "onig"]),
        (["glibc"], ["glibc"]),
        (["a"], ["a", "b"]),
        (["jq", "gcc", "jq"], ["gcc", "glibc", "jq", "onig"]),
    ],
)
def test_a_closure_is_all_that_is_reachable(roots: list[str], expected: list[str]) -> None:
    assert GRAPH.of(map(name, roots)) == sorted(map(name, expected))


def test_what_is_not_there_has_no_closure() -> None:
    with pytest.raises(KeyError):
        GRAPH.of([name("nothing")])


digits = st.text(NIX_ALPHABET, min_size=32, max_size=32)
store_names = st.builds("{}-{}".format, digits, st.text("aZ09+._?=-", min_size=1, max_size=30))


@st.composite
def closures(draw: st.DrawFn) -> Closure:
    """Any closure that is closed."""
    names = draw(st.lists(store_names, unique=True, max_size=5))
    paths = {}
    for one in names:
        references = tuple(sorted(draw(st.lists(st.sampled_from(names), unique=True, max_size=3))))
        digest = draw(st.binary(min_size=32, max_size=32)).hex()
        paths[one] = StorePath(one, digest, draw(st.integers(0, 2**60)), references)
    return Closure(Flake(*draw(st.tuples(*[st.text(max_size=5)] * 4))), paths)


@given(closures())
def test_what_is_written_is_read_back(whole: Closure) -> None:
    assert parse_closure(json.loads(json.dumps(whole.json()))) == whole


@given(closures())
def test_every_path_is_in_the_closure_of_all(whole: Closure) -> None:
    assert whole.of(whole.paths) == sorted(whole.paths)


@given(store_names)
def test_a_name_is_found_in_all_below_its_path(one: str) -> None:
    assert is_store_name(one)
    for text in (f"{STORE_DIR}/{one}", f"{STORE_DIR}/{one}/bin/sh", f"{STORE_DIR}/{one}/"):
        assert name_of(text) == one


@pytest.mark.parametrize(
    "text",
    [
        "",
        "..",
        "0" * 32,
        "0" * 32 + "-",
        "0" * 31 + "-x",
        "e" + "0" * 31 + "-x",
        "0" * 32 + "-x/y",
        "0" * 32 + "-x\n",
        "0" * 32 + "-x y",
        "0" * 32 + "-é",
        "0" * 32 + "-" + "x" * 212,
        "../" + "0" * 32 + "-x",
        None,
        3,
    ],
)
def test_what_is_no_store_path(text: Any) -> None:
    assert not is_store_name(text)
    if isinstance(text, str) and "/" not in text:
        with pytest.raises(ValueError, match="is not a store path"):
            name_of(f"{STORE_DIR}/{text}")


def changed(place: str, value: Any) -> dict[str, Any]:
    """What a Lab says of GRAPH, with one thing in it another; `place` are keys, with points between them."""
    content = copy.deepcopy(GRAPH.json())
    at: Any = content
    *keys, last = [int(key) if key.isdigit() else key for key in place.split(".")]
    for key in keys:
        at = at[key]
    at[last] = value
    return content


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("format", 2, "its format is 2, not 1"),
        ("format", None, "its format is None"),
        ("flake", 3, "which flake it is of"),
        ("lock", None, "which flake it is of"),
        ("paths", None, "it lists no paths"),
        ("paths", {}, "it lists no paths"),
        ("paths.0", 3, "an entry of its paths is broken"),
        ("paths.0", {}, "an entry of its paths is broken"),
        ("paths.0.path", "/etc", "is not a store path"),
        ("paths.0.path", name("x"), "is not a store path"),
        ("paths.0.path", f"{STORE_DIR}/../../etc", "is not a store path"),
        ("paths.0.path", f"{STORE_DIR}/{name('x')}/y", "is not a store path"),
        ("paths.0.path", 3, "an entry of its paths is broken"),
        ("paths.0.narHash", "sha256:" + "0" * 63, "narHash is"),
        ("paths.0.narHash", "sha512:" + "0" * 64, "narHash is"),
        ("paths.0.narHash", "sha256:" + "G" * 64, "narHash is"),
        ("paths.0.narHash", None, "an entry of its paths is broken"),
        ("paths.0.narSize", "8", "narSize is '8'"),
        ("paths.0.narSize", None, "narSize is None"),
        ("paths.0.narSize", -1, "narSize is -1"),
        ("paths.0.narSize", True, "narSize is True"),
        ("paths.0.references", None, "an entry of its paths is broken"),
        ("paths.0.references", [3], "an entry of its paths is broken"),
        ("paths.0.references", [f"{STORE_DIR}/{name('gone')}"], "gone, which is not in it"),
        ("paths.0.references", [f"{STORE_DIR}/../x"], "is not a store path"),
    ],
)
def test_what_a_lab_may_not_say_of_its_closure(place: str, value: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said.replace(".", r"\.")):
        parse_closure(changed(place, value))


def test_a_path_that_is_listed_twice_is_refused() -> None:
    content = GRAPH.json()
    content["paths"].append({**content["paths"][0], "narHash": "sha256:" + "1" * 64})
    with pytest.raises(ValueError, match="twice"):
        parse_closure(content)
