"""What writer and readers of a Lab agree on: the number of its format, and the texts that frame its files."""

from __future__ import annotations

LAB_FORMAT = 1
"""Of all our own keys. A reader refuses another."""

MANIFEST = "lab/lab-metadata.json"
ROOT = "revision/metadata.json"

HOST_TOOLS = "host-tools"
"""The folder of the programs that a Lab carries for its own use."""

JOBS_START = '"jobs":{\n'
"""Between a run file's header and its first job."""

JOBS_END = "}}\n"

# What is read whole has a limit, so that a file without an end is refused before it has eaten the memory. Each is some
# ten times what the largest Labs that repx is made for need.

MANIFEST_LIMIT = 256 << 20
"""The manifest has a line of some 150 bytes for each stored file: a million of them fit."""

METADATA_LIMIT = 16 << 20
"""The root metadata has some 60 bytes a run and 100 a named package."""

SOFTWARE_LIMIT = 16 << 20
"""A software manifest has some 100 bytes for each command or package."""

CLOSURE_LIMIT = 64 << 20
"""A closure has some 500 bytes a store path; all of nixpkgs is 100,000 of them."""

HEADER_LIMIT = 64 << 20
"""A run file's header has some kilobytes a stage."""

LINE_LIMIT = 64 << 20
"""A job's line has some 200 bytes for each source of an input: a collector of 100,000 jobs has 20 MB."""

# Each realization and each work item becomes a job of some kilobytes while a run is planned, and a run has some hundred
# thousand jobs.

REALIZATIONS_LIMIT = 100_000
"""Realizations of one job."""

ITEMS_LIMIT = 100_000
"""Work items of one scatter."""

ITEMS_BYTES_LIMIT = 64 << 20
"""The file that lists them is read whole."""
