"""Which isolation a run gets, on machines that have this or that: the one asked for, or the first that works."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from repx.agent.lab.place import LabRoot
from repx.agent.programs import NATIVE, Isolation, IsolationKind
from repx.errors import RepxError, SoftwareError, UsageError
from repx.lab.directory import LabDirectory
from repx.process import Completed, TimedOutError
from repx.runtime.images import load_image
from repx.runtime.isolation import Machine, choose_isolation, native_problem

PATHS = ("0" * 32 + "-bash", "1" * 32 + "-jq")


@dataclass
class FakeLab:
    """What isolation asks of a Lab."""

    closure: SimpleNamespace | None = field(default_factory=lambda: SimpleNamespace(paths=dict.fromkeys(PATHS)))
    images: Sequence[str] = ("images/one",)
    tools: Mapping[str, str] = field(default_factory=dict)
    path: str = "/lab"

    @property
    def root(self) -> LabRoot:
        return LabRoot(self.path)

    @property
    def runs(self) -> dict[str, SimpleNamespace]:
        return {str(number): SimpleNamespace(image=image) for number, image in enumerate(self.images)}

    def host_tool(self, name: str) -> str | None:
        return self.tools.get(name)


class FakeMachine:
    """A machine with some programs; `problems` are what they say when they are tried."""

    def __init__(self, *programs: str, **problems: str) -> None:
        self.programs = programs
        self.problems = problems
        self.asked: list[str] = []

    def machine(self) -> Machine:
        return Machine(run=self.run, which=self.which, bwrap_problem=self.bwrap_problem, environment={})

    def which(self, program: str) -> str | None:
        return f"/bin/{program}" if program in self.programs else None

    def bwrap_problem(self, program: str) -> str:
        self.asked.append(program)
        return self.problems.get("bwrap", "")

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
    ) -> Completed:
        self.asked.append(argv[0])
        assert timeout_s, "an engine that does not answer must not be waited for"
        problem = self.problems.get(argv[0].removeprefix("/bin/"), "")
        if problem == "hangs":
            raise TimedOutError(f"{argv[0]} took longer than {timeout_s} s")
        if problem == "gone":
            raise FileNotFoundError(2, "No such file or directory")
        return Completed(tuple(argv), int(bool(problem)), b"4.3.1\n", f"warning\n{problem}\n".encode())


def choose(
    on: FakeMachine, wanted: IsolationKind | None = None, lab: FakeLab | None = None, **options: object
) -> Isolation:
    return choose_isolation(
        cast(LabDirectory, lab or FakeLab()),
        wanted,
        machine=on.machine(),
        **options,  # type: ignore[arg-type]
    )


def refusal(on: FakeMachine, wanted: IsolationKind | None = None, lab: FakeLab | None = None, **options: object) -> str:
    with pytest.raises(RepxError) as refused:
        choose(on, wanted, lab, **options)
    assert isinstance(refused.value, SoftwareError | UsageError)
    return str(refused.value)


def test_the_first_that_works_is_taken_and_the_others_are_not_asked() -> None:
    on = FakeMachine("bwrap", "podman", "docker")
    assert choose(on) == Isolation("bwrap", "/bin/bwrap")
    assert on.asked == ["/bin/bwrap"]


def test_the_order_is_the_targets() -> None:
    on = FakeMachine("bwrap", "podman", "docker")
    assert choose(on, listed=("docker", "bwrap")).kind == "docker"
    assert on.asked == ["/bin/docker"]


def test_what_was_passed_over_is_told_with_its_reason() -> None:
    on = FakeMachine("bwrap", "podman", "docker", bwrap="No space left on device", podman="hangs")
    chosen = choose(on)
    assert (chosen.kind, chosen.program) == ("docker", "/bin/docker")
    assert chosen.passed_over == (
        ("bwrap", "No space left on device"),
        ("podman", "/bin/podman: /bin/podman took longer than 20.0 s"),
    )


def test_what_is_asked_for_is_tried_alone() -> None:
    on = FakeMachine("bwrap", "podman")
    assert choose(on, "podman").kind == "podman"
    assert on.asked == ["/bin/podman"]
    told = refusal(FakeMachine("podman", "docker"), "bwrap")
    assert "--bwrap does not work on this machine: bubblewrap is not installed" in told
    assert "repx doctor" in told


@pytest.mark.parametrize(
    ("problem", "told"),
    [
        ("Cannot connect to the Docker daemon", "/bin/docker: Cannot connect to the Docker daemon"),
        ("hangs", "/bin/docker: /bin/docker took longer than 20.0 s"),
        ("gone", "No such file or directory"),
    ],
)
def test_an_engine_is_asked_whether_it_answers(problem: str, told: str) -> None:
    assert told in refusal(FakeMachine("docker", docker=problem), "docker")


def test_the_labs_own_bubblewrap_serves_where_there_is_none() -> None:
    lab = FakeLab(tools={"bwrap": "/lab/bwrap"})
    assert choose(FakeMachine(), lab=lab) == Isolation("bwrap", "/lab/bwrap")
    assert choose(FakeMachine("bwrap"), lab=lab).program == "/bin/bwrap"


def test_an_engine_needs_images_in_the_lab() -> None:
    on = FakeMachine("podman")
    assert "the Lab has no images" in refusal(on, "podman", FakeLab(images=["", ""]))
    assert on.asked == [], "there is nothing to ask the engine for"
    assert choose(on, "podman", FakeLab(images=["", "images/one"])).kind == "podman"


def test_nothing_that_works_is_one_error_with_every_reason() -> None:
    told = refusal(FakeMachine("podman", podman="no runtime"))
    for reason in ("bubblewrap is not installed", "/bin/podman: no runtime", "docker is not installed", PATHS[0]):
        assert reason in told


def test_native_needs_every_path_of_the_closure(tmp_path: Path) -> None:
    lab = cast(LabDirectory, FakeLab())
    assert native_problem(lab, str(tmp_path)) == (
        f"the Lab's programs look for each other in {tmp_path}, which has no {PATHS[0]} here"
    )
    (tmp_path / PATHS[0]).mkdir()
    assert PATHS[1] in native_problem(lab, str(tmp_path))
    (tmp_path / PATHS[1]).symlink_to("anywhere")
    assert native_problem(lab, str(tmp_path)) == ""


def test_a_lab_without_a_closure_takes_no_sandbox_and_asks_nobody() -> None:
    on = FakeMachine("bwrap", "podman", "docker")
    lab = FakeLab(closure=None)
    assert choose(on, lab=lab) is NATIVE
    assert choose(on, "native", lab) is NATIVE
    for kind in ("bwrap", "podman", "docker"):
        assert f"--{kind} shuts jobs in with the closure of their Lab" in refusal(on, kind, lab)
    assert on.asked == []


def test_what_is_to_be_shown_goes_along_and_has_to_be_there(tmp_path: Path) -> None:
    chosen = choose(FakeMachine("bwrap"), mounts=[str(tmp_path)], host=True)
    assert (chosen.mounts, chosen.host) == ((str(tmp_path),), True)
    told = refusal(FakeMachine("bwrap"), mounts=[str(tmp_path), str(tmp_path / "none")])
    assert f"{tmp_path}/none is to be shown to jobs, and is not there" in told


@dataclass
class FakeEngine:
    """An engine that has some images, and takes others or says why not."""

    has: set[str] = field(default_factory=set)
    says: str = ""
    loaded: int = 0

    def run(self, argv: Sequence[str], **_: object) -> Completed:
        return Completed(tuple(argv), int(argv[-1] not in self.has), b"", b"")

    def feed(self, argv: Sequence[str], *_: object, **__: object) -> Completed:
        self.loaded += 1
        return Completed(tuple(argv), int(bool(self.says)), b"", self.says.encode())


def image_in(lab: Path) -> LabDirectory:
    (lab / "images/abc/blobs/sha256").mkdir(parents=True)
    for name in ("index.json", "manifest.json", "oci-layout"):
        (lab / "images/abc" / name).write_text("{}")
    return cast(LabDirectory, FakeLab(path=str(lab)))


def test_an_image_is_loaded_once_and_said(tmp_path: Path) -> None:
    engine, notices = FakeEngine(), list[str]()
    podman, lab = Isolation("podman", "/bin/podman"), image_in(tmp_path)
    load_image(podman, lab, "images/abc", notices.append, engine.run, engine.feed)
    assert (engine.loaded, notices) == (1, ["loading localhost/repx:abc into podman"])
    engine.has.add("localhost/repx:abc")
    load_image(podman, lab, "images/abc", notices.append, engine.run, engine.feed)
    assert (engine.loaded, len(notices)) == (1, 1)


def test_an_image_that_is_missing_or_not_taken_is_one_error(tmp_path: Path) -> None:
    podman, lab = Isolation("podman", "/bin/podman"), image_in(tmp_path)
    engine = FakeEngine(says="copying layers\nwrite /x: no space left on device\n")
    with pytest.raises(SoftwareError, match="podman does not take the image") as refused:
        load_image(podman, lab, "images/abc", lambda _: None, engine.run, engine.feed)
    assert "no space left on device" in str(refused.value)
    assert "free some space" in str(refused.value)
    with pytest.raises(SoftwareError, match="needs an image for every run"):
        load_image(podman, lab, "", lambda _: None, engine.run, engine.feed)
