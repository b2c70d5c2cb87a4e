"""A Lab's images in a container engine: each loaded once for a machine, and known by its digest from then on."""

from __future__ import annotations

from collections.abc import Callable, Collection

from repx import process
from repx.agent.programs import Isolation
from repx.errors import SoftwareError
from repx.lab.directory import LabDirectory
from repx.lab.images import image_files, image_reference


class Images:
    """The images of a Lab's runs, for the isolation that its jobs get."""

    def __init__(self, lab: LabDirectory, isolation: Isolation) -> None:
        self._lab = lab
        self._isolation = isolation
        self._places = [run.image for run in lab.runs.values()]

    def load(self, runs: Collection[int], notice: Callable[[str], None]) -> None:
        """Have the images of these runs in the engine, if jobs are shut in by one. Raises SoftwareError."""
        if self._isolation.kind in ("podman", "docker"):
            for place in sorted({self._places[run] for run in runs}):
                load_image(self._isolation, self._lab, place, notice)


def load_image(
    isolation: Isolation,
    lab: LabDirectory,
    place: str,
    notice: Callable[[str], None],
    run: process.RunProgram = process.run,
    feed: process.FeedProgram = process.feed,
) -> None:
    """Have the image in the engine. Raises SoftwareError when there is none, or the engine does not take it."""
    if not place:
        raise SoftwareError(
            f"--{isolation.kind} needs an image for every run, and one of these has none",
            hint='its container is "none": use --bwrap or --native, or give it another and realize again',
        )
    reference = image_reference(place)
    if run([isolation.program, "image", "inspect", reference]).exit_status == 0:
        return
    notice(f"loading {reference} into {isolation.kind}")
    files = {name: file.path for name, file in image_files(lab.root, place).items()}
    from repx.agent.base.tar import archive_stream  # only here: tarfile is slow to load

    done = feed([isolation.program, "load"], archive_stream(files))
    if done.exit_status:
        words = done.stderr.decode("utf-8", "replace").strip().splitlines()[-5:]
        raise SoftwareError(
            f"{isolation.kind} does not take the image",
            facts=[("image", f"{lab.path}/{place}"), (f"{isolation.kind} says", "\n".join(words))],
            hint="free some space and run the same command again" if "no space" in " ".join(words).lower() else "",
        )
