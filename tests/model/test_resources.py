"""Resources: what is read, what is printed, how jobs of one pipeline share them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repx.errors import DefinitionError
from repx.model.resources import MIB, NOTHING_SAID, Resources, merge

resources = st.builds(
    Resources.parse,
    st.fixed_dictionaries(
        {},
        optional={
            "mem": st.integers(1, 4 << 20).map(lambda mib: f"{mib}M"),
            "cpus": st.integers(1, 512),
            "time": st.integers(1, 40 * 86400).map(lambda seconds: f"{seconds}s"),
            "partition": st.sampled_from(["cpu", "gpu", "long"]),
            "sbatch_opts": st.lists(st.sampled_from(["--gres=gpu:1", "--exclusive"]), max_size=2),
        },
    ),
)


@pytest.mark.parametrize(
    ("text", "mib", "printed"),
    [
        ("512M", 512, "512M"),
        ("1.5G", 1536, "1536M"),
        ("64G", 65536, "65536M"),
        ("64GiB", 65536, "65536M"),
        ("64gb", 65536, "65536M"),
        ("2T", 2 << 20, "2097152M"),
        ("1K", 1, "1M"),
        ("1025K", 2, "2M"),
        (" 8 G ", 8192, "8192M"),
        ("0.1G", 103, "103M"),
    ],
)
def test_memory_is_read_in_binary_units_and_kept_in_whole_mebibytes(text: str, mib: int, printed: str) -> None:
    asked = Resources(mem=text)
    assert (asked.mem, asked.mem_text) == (mib * MIB, printed)


@pytest.mark.parametrize(
    ("text", "seconds", "printed"),
    [
        ("02:00:00", 7200, "02:00:00"),
        ("1-12:00:00", 129600, "1-12:00:00"),
        ("1-12", 129600, "1-12:00:00"),
        ("1-12:30", 131400, "1-12:30:00"),
        ("10:30", 630, "00:10:30"),
        ("90:00", 5400, "01:30:00"),
        ("48:00:00", 172800, "2-00:00:00"),
        ("90s", 90, "00:01:30"),
        ("10m", 600, "00:10:00"),
        ("2h", 7200, "02:00:00"),
        ("1h30m", 5400, "01:30:00"),
        ("1d", 86400, "1-00:00:00"),
    ],
)
def test_time_is_read_as_slurm_and_people_write_it(text: str, seconds: int, printed: str) -> None:
    asked = Resources(time=text)
    assert (asked.time, asked.time_text) == (seconds, printed)


@pytest.mark.parametrize(
    ("key", "value", "remedy"),
    [
        ("mem", 512, 'say "512M"'),
        ("mem", "512", 'say "512M"'),
        ("mem", "5X", 'say "512M"'),
        ("mem", "-1G", 'say "512M"'),
        ("mem", "1.G", 'say "512M"'),
        ("mem", "٣G", 'say "512M"'),
        ("mem", "0G", "is zero"),
        ("mem", True, 'say "512M"'),
        ("cpus", True, "say 4"),
        ("cpus", 0, "say 4"),
        ("cpus", -1, "say 4"),
        ("cpus", 1.5, "say 4"),
        ("cpus", "4", "say 4"),
        ("time", 30, 'say "02:00:00"'),
        ("time", "30", 'say "02:00:00"'),
        ("time", "", 'say "02:00:00"'),
        ("time", "1:60", 'say "02:00:00"'),
        ("time", "1:60:00", 'say "02:00:00"'),
        ("time", "1-24:00:00", 'say "02:00:00"'),
        ("time", "1.5h", 'say "02:00:00"'),
        ("time", "00:00:00", "is zero"),
        ("partition", "", 'say "gpu"'),
        ("partition", "a b", 'say "gpu"'),
        ("partition", "--wrap=x", 'say "gpu"'),
        ("partition", 3, 'say "gpu"'),
        ("sbatch_opts", "--gres=gpu:1", 'say ["--gres=gpu:1"]'),
        ("sbatch_opts", ["a\nb"], "not an option of sbatch"),
        ("sbatch_opts", [""], "not an option of sbatch"),
        ("sbatch_opts", [1], "not an option of sbatch"),
        ("inherit", "no", "neither True nor False"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_a_remedy(key: str, value: Any, remedy: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        Resources.parse({key: value})
    assert key in caught.value.headline
    assert remedy in caught.value.headline


def test_an_unknown_key_names_the_nearest() -> None:
    with pytest.raises(DefinitionError, match="men: no such key; did you mean mem"):
        Resources.parse({"men": "1G"})


def test_all_complaints_come_at_once() -> None:
    with pytest.raises(DefinitionError, match="3 mistakes in resources") as caught:
        Resources.parse({"mem": "x", "cpus": 0, "core": 1})
    assert [label for label, _ in caught.value.facts] == ["core", "cpus", "mem"]


def test_equal_requests_are_equal_and_hashable() -> None:
    one, other = Resources(mem="1G", sbatch_opts=["--x"]), Resources(mem="1024M", sbatch_opts=("--x",))
    assert one == other
    assert len({one, other}) == 1


def test_a_request_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Resources().mem = 1  # type: ignore[misc]


def test_nothing_said_prints_nothing() -> None:
    assert NOTHING_SAID.hints() == {}
    assert (NOTHING_SAID.mem_text, NOTHING_SAID.time_text) == (None, None)


@given(resources)
def test_printing_then_reading_is_identity(asked: Resources) -> None:
    assert Resources.parse(asked.hints()) == asked


@given(resources, st.lists(resources, max_size=4))
def test_merging_again_changes_nothing(own: Resources, upstreams: list[Resources]) -> None:
    merged = merge(own, upstreams)
    assert merge(merged, upstreams) is merged
    assert merge(merged, [merged, own]) is merged


@given(resources, st.lists(resources, max_size=4).flatmap(lambda some: st.tuples(st.just(some), st.permutations(some))))
def test_the_order_of_upstreams_does_not_matter_for_amounts(
    own: Resources, orders: tuple[list[Resources], list[Resources]]
) -> None:
    one, other = (merge(own, order) for order in orders)
    assert (one.mem, one.cpus, one.time) == (other.mem, other.cpus, other.time)


@given(resources, st.lists(resources, max_size=4))
def test_every_amount_is_the_most_that_anyone_asks_for(own: Resources, upstreams: list[Resources]) -> None:
    merged = merge(own, upstreams)
    for field in ("mem", "cpus", "time"):
        said = [getattr(one, field) for one in (own, *upstreams) if getattr(one, field) is not None]
        assert getattr(merged, field) == max(said, default=None)


def test_partition_and_options_are_the_jobs_own_or_the_first_upstreams() -> None:
    gpu = Resources(partition="gpu", sbatch_opts=["--gres=gpu:1"])
    long = Resources(partition="long", sbatch_opts=["--exclusive"])
    assert merge(NOTHING_SAID, [NOTHING_SAID, gpu, long]) == gpu
    own = merge(Resources(partition="cpu"), [long])
    assert (own.partition, own.sbatch_opts) == ("cpu", ("--exclusive",))


def test_inheriting_can_be_turned_off() -> None:
    own = Resources(mem="1G", inherit=False)
    assert merge(own, [Resources(mem="64G", partition="gpu")]) is own
