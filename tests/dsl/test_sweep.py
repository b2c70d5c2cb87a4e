"""The sweep algebra: which assignments there are, in which order, and what is refused."""

from __future__ import annotations

import builtins
import io
import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from repx.dsl.assignments import Sweep
from repx.dsl.sweep import as_sweep, concat, product, zip  # noqa: A004 - the name of the manual
from repx.errors import DefinitionError
from repx.model.values import PackageRef, StoredPath, Value, check_value, identity, package

names = st.sampled_from(["alpha", "beta", "gamma", "train.lr", "zeta"])
scalars = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.0, -0.0, 1.0, 2.5]) | st.text(max_size=2)
value_lists = st.lists(scalars, min_size=1, max_size=4, unique_by=identity)
mappings = st.dictionaries(names, value_lists, max_size=4)


def texts(sweep: Sweep) -> list[dict[str, str]]:
    """Assignments that can be compared: 1, 1.0, True and "1" are four texts."""
    return [{name: identity(value) for name, value in one.items()} for one in sweep.assignments()]


def complaint(call: Callable[[], object]) -> str:
    """What the user reads when `call` is refused; every complaint has its place in this file."""
    with pytest.raises(DefinitionError) as caught:
        call()
    assert caught.value.location is not None
    assert caught.value.location.file == __file__
    return "\n".join(caught.value.lines())


# ---------------------------------------------------------------------------------------------------------- product


def test_a_mapping_of_lists_is_a_product_with_the_last_name_changing_fastest() -> None:
    sweep = as_sweep({"seed": [1, 2], "lr": [0.1, 0.2]})
    assert [axis.name for axis in sweep.axes] == ["lr", "seed"]
    assert list(sweep.rows()) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert next(sweep.assignments()) == {"lr": 0.1, "seed": 1}


@given(mappings)
def test_a_product_is_every_combination_once(params: dict[str, list[Value]]) -> None:
    sweep = as_sweep(params)
    ordered = sorted(params)
    expected = [
        dict(builtins.zip(ordered, one, strict=True)) for one in itertools.product(*(params[n] for n in ordered))
    ]
    assert texts(sweep) == [{name: identity(value) for name, value in one.items()} for one in expected]
    assert len(sweep) == len(expected) == math.prod(len(values) for values in params.values())


@given(mappings, st.randoms(use_true_random=False))
def test_the_order_of_declaration_does_not_matter(params: dict[str, list[Value]], random: Any) -> None:
    items = list(params.items())
    random.shuffle(items)
    assert texts(as_sweep(dict(items))) == texts(as_sweep(params)) == texts(product(*({k: v} for k, v in items)))


def test_nothing_is_one_empty_assignment() -> None:
    for empty in (as_sweep(None), as_sweep({}), product()):
        assert (len(empty), list(empty.rows()), list(empty.assignments())) == (1, [()], [{}])
    assert len(product({}).where(lambda p: True)) == 1


def test_a_million_assignments_are_made_one_at_a_time() -> None:
    sweep = product(a=range(1000), b=range(1000), c=range(1000))
    assert len(sweep) == 10**9
    assert list(itertools.islice(sweep.rows(), 1001))[-1] == (0, 1, 0)


def test_equal_in_python_is_not_equal_here() -> None:
    sweep = product(x=[1, 1.0, True, "1", None, 0, 0.0, -0.0, False, ""])
    assert [type(one["x"]) for one in sweep.assignments()] == [
        int, float, bool, str, type(None), int, float, float, bool, str,
    ]  # fmt: skip


def test_a_scalar_is_an_axis_of_one_value() -> None:
    sweep = as_sweep({"model": "large", "seed": 3, "lr": None, "tool": PackageRef("jq")})
    assert list(sweep.assignments()) == [{"lr": None, "model": "large", "seed": 3, "tool": PackageRef("jq")}]


def test_any_iterable_is_listed_and_numpy_becomes_python() -> None:
    generator = (str(i) for i in range(2))
    sweep = product(
        g=generator,
        r=range(2),
        k={"x": 1}.keys(),
        a=np.linspace(0, 1, 2),
        i=np.int64(4),
        z=np.array(5),
        s=np.array(["t"]),
    )
    first = next(sweep.assignments())
    assert first == {"a": 0.0, "g": "0", "i": 4, "k": "x", "r": 0, "s": "t", "z": 5}
    assert {type(value) for value in first.values()} == {float, str, int}


def test_paths_are_values_by_name_and_content() -> None:
    one = StoredPath("a", "1" * 64, "/here/a", "directory")
    moved = StoredPath("a", "1" * 64, "/there/a", "directory")
    assert one == moved
    assert "twice" in complaint(lambda: product(p=[one, moved]))
    assert len(product(p=[one, StoredPath("a", "2" * 64, "/here/a", "directory"), PackageRef("a"), "a"])) == 4


# -------------------------------------------------------------------------------------------------------------- zip


def test_a_zip_varies_in_lockstep_and_keeps_its_order() -> None:
    sweep = zip(model=["b", "a", "b"], lr=[1, 2, 3])
    assert [(one["model"], one["lr"]) for one in sweep.assignments()] == [("b", 1), ("a", 2), ("b", 3)]
    assert [len(axis.values) for axis in sweep.axes] == [3, 2]


def test_the_key_of_a_zip_in_a_mapping_is_only_a_label() -> None:
    sweep = as_sweep({"seed": [1, 2], "config": zip(model=["x", "y"], lr=[0.1, 0.2])})
    assert [axis.name for axis in sweep.axes] == ["lr", "model", "seed"]
    assert [tuple(one.values()) for one in sweep.assignments()] == [
        (0.1, "x", 1), (0.1, "x", 2), (0.2, "y", 1), (0.2, "y", 2),
    ]  # fmt: skip


def test_axes_between_those_of_a_zip_fall_into_their_place() -> None:
    sweep = product(zip(a=[1, 2], z=[3, 4]), m=[5, 6])
    assert list(sweep.assignments()) == [
        {"a": 1, "m": 5, "z": 3}, {"a": 1, "m": 6, "z": 3}, {"a": 2, "m": 5, "z": 4}, {"a": 2, "m": 6, "z": 4},
    ]  # fmt: skip


def test_sweeps_can_be_zipped() -> None:
    sweep = zip(product(a=[1, 2], b=[1, 2]), name=["w", "x", "y", "z"])
    assert [tuple(one.values()) for one in sweep.assignments()] == [(1, 1, "w"), (1, 2, "x"), (2, 1, "y"), (2, 2, "z")]


def test_a_zip_of_different_lengths_names_each_and_its_length() -> None:
    text = complaint(lambda: zip(model=["a", "b"], lr=[1], c=product(x=[1, 2], y=[1, 2])))
    assert "zip of different lengths" in text
    for line in ("  model  2", "  lr     1", "  x, y   4"):
        assert line in text


def test_a_zip_that_repeats_itself_is_refused() -> None:
    assert "the same assignment twice, at 0 and 2" in complaint(lambda: zip(a=[1, 2, 1], b=[1, 2, 1]))
    assert len(zip(a=[1, 1], b=[True, 1])) == 2


# ----------------------------------------------------------------------------------------------------------- concat


def test_concat_puts_parts_after_each_other_and_drops_what_was_there() -> None:
    sweep = concat({"a": [2, 1], "b": 0}, product(a=[1, 3], b=0), zip(a=[1], b=[1]))
    assert [tuple(one.values()) for one in sweep.assignments()] == [(2, 0), (1, 0), (3, 0), (1, 1)]
    assert [axis.values for axis in sweep.axes] == [(2, 1, 3), (0, 1)]


def test_an_axis_that_a_part_lacks_is_none_there() -> None:
    sweep = concat({"a": [1]}, {"b": [1.0]})
    assert list(sweep.assignments()) == [{"a": 1, "b": None}, {"a": None, "b": 1.0}]


@given(mappings, mappings)
def test_concat_is_the_ordered_union(one: dict[str, list[Value]], other: dict[str, list[Value]]) -> None:
    axes = {**dict.fromkeys(one, "absent"), **dict.fromkeys(other, "absent")}
    expected: list[dict[str, str]] = []
    for assignment in texts(as_sweep(one)) + texts(as_sweep(other)):
        if (full := {**axes, **assignment}) not in expected:
            expected.append(full)
    shown = [{name: "null" if value == "absent" else value for name, value in full.items()} for full in expected]
    assert texts(concat(one, other)) == shown


# ------------------------------------------------------------------------------------------------------------ where


def test_a_swept_path_is_compared_by_its_name() -> None:
    people = [StoredPath(name, "00" * 32, f"/data/{name}", "directory") for name in ("alice", "bob")]
    sweep = product(who=people, tool=PackageRef("jq"))
    for predicate in (
        lambda p: p.who != "alice",
        lambda p: not p.who == "alice",  # noqa: SIM201 - both comparisons
        lambda p: p.who in ("bob", "carol"),
        lambda p: p.who in {"bob", "carol"},
        lambda p: {"alice": 0, "bob": 1}[p.who],
        lambda p: p.tool == "jq" and p.who == people[1],
    ):
        assert [one["who"].name for one in sweep.where(predicate).assignments()] == ["bob"]  # type: ignore[union-attr]
    for far in (lambda p: p.who == "data/alice", lambda p: p.who == Path("alice")):
        with pytest.raises(DefinitionError, match="known by its name alone"):
            sweep.where(far)


def test_where_keeps_what_the_predicate_says() -> None:
    sweep = product(a=[1, 2, 3], b=[1, 2, 3]).where(lambda p: p.a < p.b)
    assert [tuple(one.values()) for one in sweep.assignments()] == [(1, 2), (1, 3), (2, 3)]
    assert [axis.values for axis in sweep.axes] == [(1, 2), (2, 3)]


def test_where_reads_the_params_of_one_stage_by_item() -> None:
    sweep = as_sweep({"train.lr": [0.1, 0.2]})
    assert len(sweep.where(lambda p: p["train.lr"] > 0.1)) == 1
    assert "write p['train.lr']" in complaint(lambda: sweep.where(lambda p: p.train.lr > 0.1))


def test_where_on_an_axis_that_is_not_there_names_the_nearest() -> None:
    assert "did you mean model?" in complaint(lambda: as_sweep({"model": ["a"]}).where(lambda p: p.modle == "a"))


def test_where_that_leaves_nothing_is_refused() -> None:
    assert "where leaves none of 2 assignments" in complaint(lambda: product(a=[1, 2]).where(lambda p: False))


def test_where_takes_a_function() -> None:
    assert "where takes a function" in complaint(lambda: product(a=[1]).where(True))  # type: ignore[arg-type]


@given(mappings, st.integers(0, 2))
def test_what_is_filtered_can_be_combined_again(params: dict[str, list[Value]], rest: int) -> None:
    sweep = as_sweep(params)
    keep = [place % 3 != rest for place in range(len(sweep))]
    if not any(keep):
        return
    flags = iter(keep)
    filtered = sweep.where(lambda p: next(flags))
    assert texts(filtered) == [one for one, kept in builtins.zip(texts(sweep), keep, strict=True) if kept]
    again = product(filtered, middle=["x", "y"])
    assert len(again) == 2 * len(filtered)
    assert sorted(map(repr, texts(again))) == sorted(
        repr(dict(sorted({**one, "middle": text}.items()))) for one in texts(filtered) for text in ('"x"', '"y"')
    )


# ---------------------------------------------------------------------------------------------------------- refused


class Table:
    """What tables have in common: one that is iterated over gives the names of its columns."""

    columns = ("lr", "seed")

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)


class Habit(int):
    """A number with a class of its own, which JSON would forget."""


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"a": [1, {2}]}, "axis 'a', value 1: {2} is a set, and a param is a scalar"),
        ({"a": [{"b": {1}}]}, "axis 'a', value 0: {1} is a set"),
        ({"a": [{1: 2}]}, "axis 'a', value 0: a dict of a param has texts as names, not 1"),
        ({"a": [[math.inf]]}, "axis 'a', value 0: inf is not a finite number"),
        ({"a": [[PackageRef("jq")]]}, "'jq' stands inside a list or a dict, where no path or package can be"),
        ({"a": [[1, 2], (1, 2)]}, "axis 'a': (1, 2) stands twice, at 0 and 1"),
        ({"a": [float("nan")]}, "axis 'a', value 0: nan is not a finite number"),
        ({"a": float("inf")}, "inf is not a finite number"),
        ({"a": np.array([1.0, np.inf])}, "axis 'a', value 1: inf is not a finite number"),
        ({"a": np.zeros((1, 2))}, "is a ndarray, and a param holds lists: write .tolist()"),
        ({"a": [b"x"]}, "is a bytes"),
        ({"a": b"xy"}, "axis 'a', value 0: b'xy' is a bytes"),
        ({"a": Path("x")}, "a path is given as repx.path"),
        ({"a": Habit(1)}, "only plain bool, int, float and str"),
        ({"a": Table()}, "axis 'a': a Table is a table, not a list of values; give one of its columns"),
        ({"a": np.zeros(2, dtype=[("x", int), ("y", int)])}, "axis 'a': a ndarray is a table"),
        ({"a": io.StringIO("1\n2\n")}, "axis 'a': an open file is not a list of values"),
        ({"a": []}, "axis 'a': has no values"),
        ({"a": {}}, "axis 'a': a mapping is not a list of values"),
        ({"a": {1, 2}}, "axis 'a': a set has no order; write sorted(…)"),
        ({"a": [1, 2, 1]}, "axis 'a': 1 stands twice, at 0 and 2"),
        ({"my axis": [1]}, "axis 'my axis': an axis is called like a param"),
        ({1: [1]}, "axis 1: an axis is called like a param"),
        ({"train.": [1]}, "axis 'train.'"),
        ({"lr\n": [1]}, "an axis is called like a param"),
        ({"z": zip(z=[1], y=[1])}, "axis 'z': the key of a sweep is only a label"),
        ({"c": zip(x=[1], y=[1]), "x": [1]}, "axis 'x': given twice"),
        ({"c": zip(x=[1], y=[1]), "d": zip(x=[2], z=[1])}, "axis 'x': given twice"),
        ([1, 2], "[1, 2] is neither a mapping of names to lists nor a sweep"),
    ],
)
def test_what_is_no_sweep_is_refused(params: Any, told: str) -> None:
    assert told in complaint(lambda: as_sweep(params))


def test_all_mistakes_come_at_once_and_not_without_end() -> None:
    text = complaint(lambda: product(a=[{1}, 2, {3}], b=[]))
    assert "3 mistakes in a product" in text
    assert "axis 'a', value 0" in text
    assert "axis 'a', value 2" in text
    assert "axis 'b'" in text
    assert "and 988 more" in complaint(lambda: product(a=[{i} for i in range(1000)]))


def test_what_combines_nothing_is_refused() -> None:
    assert "zip of nothing" in complaint(lambda: zip())
    assert "concat of nothing" in complaint(lambda: concat())
    assert "3 is neither" in complaint(lambda: concat(3))  # type: ignore[arg-type]


def test_a_sweep_says_what_it_is() -> None:
    assert repr(product(seed=[1, 2], lr=[0.1])) == "<Sweep of 2 assignments: lr (1), seed (2)>"
    assert repr(as_sweep(None)) == "<Sweep of 1 assignment: no axes>"


@given(scalars)
def test_a_scalar_is_a_value_as_it_is(value: Value) -> None:
    assert check_value(value) is value


def test_a_package_is_a_value_by_its_name() -> None:
    assert package("jq") == PackageRef("jq")
    with pytest.raises(DefinitionError, match="is not the name of a package"):
        package("")


def test_a_mapping_is_not_changed() -> None:
    params: Mapping[str, list[int]] = {"a": [1, 2]}
    as_sweep(params)
    assert params == {"a": [1, 2]}
