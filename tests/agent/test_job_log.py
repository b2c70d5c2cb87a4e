"""The logs of a slot's jobs: whatever a job does with its streams, all that it wrote is kept, and no more."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from repx.agent.base.record import LogFile
from repx.agent.job_log import SMALL_LOG, JobLog


def write(log: JobLog, script: str) -> None:
    """Let a shell write to a log, which is read meanwhile."""
    with subprocess.Popen(["bash", "-c", script], stdout=log.descriptor, stderr=log.descriptor) as process:
        while process.poll() is None:
            log.read()
    log.read()


@pytest.fixture
def log(tmp_path: Path) -> JobLog:
    return JobLog(str(tmp_path / "stdout"))


def test_a_short_log_is_its_text_and_the_next_begins_empty(log: JobLog, tmp_path: Path) -> None:
    write(log, "echo one; echo two")
    assert log.take(str(tmp_path / "kept")) == "one\ntwo\n"
    write(log, "echo three")
    assert log.take(str(tmp_path / "kept")) == "three\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", ["/dev/stderr", "/dev/stdout", "/proc/self/fd/2"])
def test_nobody_can_take_away_what_has_been_written(log: JobLog, tmp_path: Path, place: str) -> None:
    write(log, f"echo one; echo two > {place}; echo three >> {place}; chmod 4777 {place} || true")
    assert log.take(str(tmp_path / "kept")) == "one\ntwo\nthree\n"


@pytest.mark.parametrize("is_shown", [False, True])
def test_a_long_log_becomes_a_file_with_every_byte(log: JobLog, tmp_path: Path, is_shown: bool) -> None:
    if is_shown:
        log.show()
    write(log, "seq 200000")
    assert log.take(str(tmp_path / "kept")) == LogFile("kept")
    assert (tmp_path / "kept").read_text() == "".join(f"{number}\n" for number in range(1, 200001))
    assert (tmp_path / "kept").stat().st_mode & 0o7777 == 0o644
    assert not (tmp_path / "stdout").exists()


@pytest.mark.parametrize(("size", "is_file"), [(SMALL_LOG, False), (SMALL_LOG + 1, True)])
def test_how_long_a_log_in_a_record_may_be(log: JobLog, tmp_path: Path, size: int, is_file: bool) -> None:
    write(log, f"head -c {size} /dev/zero")
    assert isinstance(log.take(str(tmp_path / "kept")), LogFile) is is_file


def test_a_job_that_lasts_can_be_followed(log: JobLog, tmp_path: Path) -> None:
    write(log, "echo one")
    log.show()
    write(log, "echo two")
    assert (tmp_path / "stdout").read_text() == "one\ntwo\n"
    assert log.take(str(tmp_path / "kept")) == "one\ntwo\n"
    assert list(tmp_path.iterdir()) == []


def test_what_a_process_of_an_earlier_job_still_writes_is_nobodys(log: JobLog, tmp_path: Path) -> None:
    earlier = os.dup(log.descriptor)
    log.renew()
    with pytest.raises(BrokenPipeError):
        os.write(earlier, b"late")
    assert log.take(str(tmp_path / "kept")) == ""


def test_of_a_trace_the_end_is_kept(tmp_path: Path) -> None:
    trace = JobLog("", 1000)
    write(trace, "seq 200000")
    text = trace.take("")
    assert isinstance(text, str)
    assert text.endswith("199999\n200000\n")
    assert 1000 <= len(text) <= 2000
