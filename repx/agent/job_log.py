"""What a slot's jobs write to their streams: pipes, read into memory, and into files where a job lasts; parses nothing.

A job gets pipes and no file of its runner's, for a file could be truncated by `> /dev/stderr`, or made executable.
"""

from __future__ import annotations

import contextlib
import os

from repx.agent.base.files import write_all
from repx.agent.base.record import Log, LogFile

SMALL_LOG = 8192
"""Bytes up to which a log is kept inside the record."""

_BLOCK = 65536


class JobLog:
    """One stream. `descriptor` is the end that a job writes to; `path` a file for those who follow a job that lasts.

    With `limit`, only the last so many bytes are kept, and never in a file.
    """

    def __init__(self, path: str, limit: int | None = None) -> None:
        self._path = path
        self._limit = limit
        self._open()

    def _open(self) -> None:
        self.reader, self.descriptor = os.pipe()
        os.set_blocking(self.reader, False)
        self._forget()

    def _forget(self) -> None:
        self._data = bytearray()
        self._file: int | None = None

    def read(self) -> None:
        """Take in what has been written."""
        with contextlib.suppress(BlockingIOError):
            while True:
                data = os.read(self.reader, _BLOCK)
                self._take_in(data)
                if len(data) < _BLOCK:
                    # That was all there was just now.
                    return

    def show(self) -> None:
        """Keep a file from now on, which others can read while the job runs."""
        if self._file is None and self._limit is None:
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
            write_all(self._file, self._data)

    def take(self, kept: str) -> Log:
        """The log of the job that has just ended: its text, or the file `kept` that it has become."""
        self.read()
        data, file = self._data, self._file
        self._forget()
        if file is not None:
            os.close(file)
            if self._limit is None and len(data) > SMALL_LOG:
                os.rename(self._path, kept)
                return LogFile(os.path.basename(kept))
            os.unlink(self._path)
        return data.decode("utf-8", "replace")

    def renew(self) -> None:
        """Drop what there is and begin another pipe: a process of an earlier job may still write to this one."""
        for descriptor in (self.reader, self.descriptor, self._file):
            if descriptor is not None:
                os.close(descriptor)
        self._open()

    def _take_in(self, data: bytes) -> None:
        if self._file is not None:
            write_all(self._file, data)
        if self._limit is not None:
            self._data += data
            if len(self._data) > 2 * self._limit:
                del self._data[: -self._limit]
        elif len(self._data) <= SMALL_LOG:
            # One byte more than is kept says that it is too long.
            self._data += data
            if self._file is None and len(self._data) > SMALL_LOG:
                self.show()


TRACE_DESCRIPTOR = 197
"""Where a Bash script writes its trace to, if it was started with this descriptor open: no stream that the user has."""

_TRACE = 65536
"""Bytes that are kept of the end of a trace: a loop makes it longer than anybody reads."""


class JobLogs:
    """The streams of a slot's jobs: standard output, standard error, and the trace of a Bash script."""

    def __init__(self, directory: str) -> None:
        self.stdout = JobLog(directory + "/stdout")
        self.stderr = JobLog(directory + "/stderr")
        self.trace = JobLog("", _TRACE)
        self._all = (self.stdout, self.stderr, self.trace)
        self._are_taken = True

    def begin(self) -> None:
        """Let the next job begin with empty logs."""
        if not self._are_taken:
            # Those of the job before were not taken, and a process of it may still write to them.
            for log in self._all:
                log.renew()
        self._are_taken = False

    @property
    def readers(self) -> tuple[int, ...]:
        """What can be read when there is something to take in."""
        return tuple(log.reader for log in self._all)

    def read(self) -> None:
        """Take in what has been written."""
        for log in self._all:
            log.read()

    def show(self) -> None:
        """Keep files from now on, which others can read while the job runs."""
        for log in self._all:
            log.show()

    def take(self, directory: str, number: int) -> tuple[Log, Log, str]:
        """Output, error and trace of attempt `number` for its record: too long ones go to files in `directory`."""
        stdout = self.stdout.take("%s/stdout-%d.log" % (directory, number))
        stderr = self.stderr.take("%s/stderr-%d.log" % (directory, number))
        trace = self.trace.take("")
        self._are_taken = True
        assert isinstance(trace, str), "it never becomes a file"
        return stdout, stderr, trace
