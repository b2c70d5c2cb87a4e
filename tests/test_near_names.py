"""What is suggested for a name that there is not: what somebody may have meant, and nothing far-fetched."""

from __future__ import annotations

import subprocess
import sys

import pytest

from repx.errors import did_you_mean, near_names, nearest

COMMANDS = [f"command-{number}" for number in range(300)]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("slop", "slope"),
        ("modle", "model"),
        ("men", "mem"),
        ("Total", "total"),
        ("generatr", "generator"),
        ("dubl", "double"),
        ("learning-rate", "learning_rate"),
        ("sum_txt", "sum.txt"),
        ("seed", "train.seed"),
        ("plot", "plotter"),
        ("simulation", "simulations"),
    ],
)
def test_what_is_nearly_the_same_is_suggested(written: str, meant: str) -> None:
    assert near_names(written, [meant, "quite_another_name"]) == [meant]


@pytest.mark.parametrize(
    ("written", "other"),
    [
        ("torch", "rich"),
        ("keras", "bars"),
        ("a", "b"),
        ("lr", "n"),
        ("train", "test"),
        ("alpha", "beta"),
        ("loss", "accuracy"),
        ("model", "node"),
        ("rate", "a_very_long_name_with_rates_in_it"),
    ],
)
def test_what_merely_shares_letters_is_not_suggested(written: str, other: str) -> None:
    assert did_you_mean(written, [other]) == ""
    assert nearest(written, [other]) == f"valid names: {other}"


def test_among_many_names_a_short_one_has_to_be_nearer() -> None:
    assert near_names("jax", ["jar"]) == ["jar"]
    assert near_names("jax", ["jar", *COMMANDS]) == []
    assert near_names("pandsa", ["pandas", *COMMANDS]) == ["pandas"]


def test_the_nearest_comes_first_and_three_are_enough() -> None:
    assert near_names("seed", ["seeds", "send", "speed", "train.seed", "test.seed"]) == ["seeds", "send", "speed"]


def test_a_star_import_hides_no_built_in_function() -> None:
    code = "from repx import *; import builtins; print([name for name in vars(builtins) if name in globals()])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['__name__', '__doc__', '__package__', '__loader__', '__spec__']"
