"""What writer and readers of a Lab agree on: the number of its format, and the texts that frame its files."""

from __future__ import annotations

LAB_FORMAT = 1
"""Of all our own keys. A reader refuses another."""

MANIFEST = "lab/lab-metadata.json"
ROOT = "revision/metadata.json"

JOBS_START = '"jobs":{\n'
"""Between a run file's header and its first job."""

JOBS_END = "}}\n"
