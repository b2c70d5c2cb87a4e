"""A package set of a Nix that is a fake: what it is asked, in which words; what is remembered; what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from repx.agent.base.layout import Store
from repx.agent.base.nar import nar_sha256
from repx.errors import CheckError, RepxError, SoftwareError, SourceLocation
from repx.model.software import ImportedModule, SoftwareRequest
from repx.realizer.base_programs import BASE_PROGRAMS
from repx.realizer.nix.command import BuildFailedError, Nix
from repx.realizer.nix.json import FlakeState, Package
from repx.realizer.nix.memory import NixMemory
from repx.realizer.nix.packages import NixSoftware
from repx.realizer.nix.reference import read_reference
from repx.store.writer import open_writer
from tests.fakes.nix import FakeNix, store_name
from tests.golden_texts import Golden, golden_fixture

__all__ = ["golden_fixture"]

HERE = SourceLocation("experiment.py", 7)
REQUIRED = {**{name: programs[0] for name, programs in BASE_PROGRAMS.items()}, "python3": "python3"}


class SetOfPackages:
    """A flake's folder, the fake program and a memory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.flake = root / "flake"
        self.flake.mkdir()
        (self.flake / "flake.nix").write_text("{ outputs = { self }: { }; }")
        self.nix = FakeNix(
            root / "bin", packages={**REQUIRED, "bubblewrap": "bwrap", "thing": "thing", "other": ""}
        ).write()

    def software(self, reference: str = "./flake") -> NixSoftware:
        """A new one each time: what is known is in the memory."""
        nix = Nix(program=str(self.nix.program))
        return NixSoftware(reference, str(self.root), HERE, nix=nix, memory=str(self.root / "memory"))

    def refused(self, *requests: SoftwareRequest, reference: str = "./flake") -> str:
        """What is said to a request that cannot be answered."""
        with pytest.raises(RepxError) as caught:
            self.software(reference).resolve(requests or [request()])
        return self.shown(caught.value)

    def shown(self, error: RepxError) -> str:
        return "\n".join(error.lines()).replace(str(self.root), "<here>") + "\n"


@pytest.fixture(name="packages")
def packages_fixture(tmp_path: Path) -> SetOfPackages:
    return SetOfPackages(tmp_path)


def request(*packages: str, script: str = "true", stage: str = "work", **more: object) -> SoftwareRequest:
    return SoftwareRequest(stage, "bash", packages, script, SourceLocation("experiment.py", 3), **more)  # type: ignore[arg-type]


def python(*imports: str, packages: tuple[str, ...] = ()) -> SoftwareRequest:
    modules = tuple(ImportedModule(name, SourceLocation("experiment.py", 5)) for name in imports)
    return SoftwareRequest("draw", "python", packages, "pass", SourceLocation("experiment.py", 4), modules)


# ----------------------------------------------------------------------------------------------------- what is answered


def test_identity_is_the_store_paths_of_what_was_asked_and_of_the_base(packages: SetOfPackages) -> None:
    (software,) = packages.software().resolve([request("thing")])
    assert dict(software.identity) == {
        "package.thing": store_name("thing"),
        **{f"base.{name}": store_name(name) for name in BASE_PROGRAMS},
    }
    assert set(software.roots) == {store_name(name) for name in ("thing", *BASE_PROGRAMS)}
    assert software.findings == ()


def test_a_python_stage_has_a_python_its_own_if_it_names_one(packages: SetOfPackages) -> None:
    packages.nix.packages["python310"] = "python3.10"
    packages.nix.write()
    of_set, own = packages.software().resolve([python(), python(packages=("python310",))])
    assert "package.python3" in dict(of_set.identity)
    assert "package.python310" in dict(own.identity)
    assert "package.python3" not in dict(own.identity)


def test_a_package_as_a_value_is_that_package_alone(packages: SetOfPackages) -> None:
    asked = SoftwareRequest("package thing", "package", ("thing",), "", HERE)
    (software,) = packages.software().resolve([asked])
    assert software.roots == (store_name("thing"),)


def test_all_packages_are_evaluated_in_one_call_and_nothing_is_built(packages: SetOfPackages) -> None:
    packages.software().resolve([request("thing"), request("other", stage="more"), python()])
    assert packages.nix.commands() == ["--version", "flake", "eval"]


def test_what_is_remembered_is_not_asked_again(packages: SetOfPackages) -> None:
    first = packages.software().resolve([request("thing")])
    packages.nix.calls()
    packages.nix.program.unlink()
    assert packages.software().resolve([request("thing")]) == first


def test_a_change_of_the_folder_is_asked_about(packages: SetOfPackages) -> None:
    packages.software().resolve([request("thing")])
    packages.nix.calls()
    for name in ("flake.lock", "more.nix"):
        (packages.flake / name).write_text("{}")
        packages.software().resolve([request("thing")])
        assert packages.nix.commands() == ["--version", "flake", "eval"]
    (packages.flake / "flake.nix").touch()
    packages.software().resolve([request("thing")])
    assert packages.nix.commands() == []


def test_a_set_without_an_optional_package_is_remembered_as_such(packages: SetOfPackages) -> None:
    del packages.nix.packages["bubblewrap"]
    packages.nix.write()
    packages.software().resolve([request()])
    packages.nix.calls()
    packages.software().resolve([request()])
    assert packages.nix.commands() == []


def test_an_optional_package_that_throws_is_left_out(packages: SetOfPackages) -> None:
    packages.nix.throwing = ("bubblewrap",)
    packages.nix.write()
    packages.software().resolve([request()])
    (software,) = packages.software().resolve([request("bubblewrap")])
    assert [one.message.split(";")[0] for one in software.findings] == ["package 'bubblewrap' cannot be evaluated"]


def test_a_mistake_that_nobody_asks_for_is_no_ones_trouble(packages: SetOfPackages) -> None:
    """It ends the evaluation of all that a small set has; what was asked for is evaluated without."""
    packages.nix.mistaken = ("broken",)
    packages.nix.write()
    (software,) = packages.software().resolve([request("thing")])
    assert software.findings == ()


# ------------------------------------------------------------------------------------------------------------- checks


def test_before_a_build_a_stage_with_the_base_alone_is_checked_whole(packages: SetOfPackages) -> None:
    (software,) = packages.software().resolve([request(script="grepp x; sort | uniqe; grep y")])
    assert [(one.message, one.location.line) for one in software.findings] == [
        ("command 'grepp' is not in the stage's software", 3),
        ("command 'uniqe' is not in the stage's software", 3),
    ]


def test_before_a_build_a_package_may_have_any_command(packages: SetOfPackages) -> None:
    (software,) = packages.software().resolve([request("other", script="grepp x")])
    assert software.findings == ()


def test_a_command_is_named_with_the_package_that_is_called_so(packages: SetOfPackages) -> None:
    (software,) = packages.software().resolve([request(script="thing; bwrap; nowhere")])
    assert [one.remedy for one in software.findings] == [
        'add "thing" to packages',
        'add "bubblewrap" to packages',
        "add a package that brings nowhere to ./flake, and its name to packages",
    ]


def test_an_impure_stage_names_programs_by_where_they_are(packages: SetOfPackages) -> None:
    pure, impure = packages.software().resolve(
        [request(script="/opt/bin/measure; /usr/bin/grep x"), request(script="/opt/bin/measure", impure=True)]
    )
    assert [one.remedy for one in pure.findings][1] == "write grep"
    assert impure.findings == ()


def test_a_script_that_is_no_python_is_told_before_a_build(packages: SetOfPackages) -> None:
    wrong = SoftwareRequest("draw", "python", (), "x = (", SourceLocation("experiment.py", 4))
    (software,) = packages.software().resolve([wrong])
    assert [one.message for one in software.findings] == ["not valid Python: '(' was never closed"]


# ------------------------------------------------------------------------------------------------------------ refusals


def test_a_machine_without_nix(packages: SetOfPackages, golden: Golden) -> None:
    packages.nix.program.unlink()
    golden("errors/nix/no_nix.txt", packages.refused())


@pytest.mark.parametrize("said", ["nix (Nix) 2.3.16", "", "nix-env (Nix) 2.0"])
def test_a_nix_without_flakes(packages: SetOfPackages, golden: Golden, said: str) -> None:
    packages.nix.version = said
    packages.nix.write()
    shown = packages.refused()
    assert "flakes need Nix 2.4 or newer" in shown
    if "2.3" in said:
        golden("errors/nix/too_old.txt", shown)


def test_flakes_that_are_forbidden(packages: SetOfPackages, golden: Golden) -> None:
    said = (
        "error: experimental Nix feature 'flakes' is disabled; use '--extra-experimental-features flakes' to override"
    )
    packages.nix.fails["flake"] = said
    packages.nix.write()
    golden("errors/nix/flakes_forbidden.txt", packages.refused())


def test_a_name_of_the_registry_is_not_pinned(packages: SetOfPackages, golden: Golden) -> None:
    packages.nix.url = "github:owner/packages/1234567890123456789012345678901234567890"
    packages.nix.write()
    golden("errors/nix/not_pinned.txt", packages.refused(reference="packages"))


@pytest.mark.parametrize(
    "reference",
    [
        "github:owner/packages/1234567890123456789012345678901234567890",
        "git+https://example.org/packages?rev=1234567890123456789012345678901234567890",
    ],
)
def test_a_pinned_reference_is_what_a_lab_says(packages: SetOfPackages, reference: str) -> None:
    packages.software(reference).resolve([request("thing")])
    assert packages.nix.calls()[1][-1] == reference


def test_what_no_version_of_nix_says(packages: SetOfPackages, golden: Golden) -> None:
    packages.nix.revision = 3
    packages.nix.write()
    golden("errors/nix/unreadable.txt", packages.refused())


@pytest.mark.parametrize(
    ("reference", "case"),
    [
        ("./nowhere", "no_folder"),
        ("./flake#thing", "fragment"),
        ("github:owner/packages#thing", "fragment_of_a_reference"),
        ("flake", "folder_without_a_point"),
        ("./checkout", "checkout"),
        ("./leaving", "link_that_leaves"),
    ],
)
def test_a_reference_to_no_package_set(packages: SetOfPackages, golden: Golden, reference: str, case: str) -> None:
    for name in ("checkout", "leaving"):
        (packages.root / name).mkdir()
        (packages.root / name / "flake.nix").write_text("{ }")
    (packages.root / "checkout" / ".git").mkdir()
    (packages.root / "leaving" / "set").symlink_to("/etc")
    golden(f"errors/nix/{case}.txt", packages.refused(reference=reference))
    assert packages.nix.calls() == []


def test_a_folder_with_blanks_is_told_of_where_nix_does_not_read_it(packages: SetOfPackages) -> None:
    folder = packages.root / "a folder"
    folder.mkdir()
    (folder / "flake.nix").write_text("{ }")
    packages.software("./a folder").resolve([request()])
    assert packages.nix.calls()[1][-1].endswith("/a%20folder")
    packages.nix.fails["flake"] = "error: 'path:/a%20folder' is not a valid URL"
    packages.nix.write()
    (folder / "other.nix").touch()
    assert "hint: old versions of Nix read no folder whose path has blanks" in packages.refused(reference="./a folder")


@pytest.mark.parametrize("name", sorted(REQUIRED))
def test_every_set_has_the_base_and_a_python(packages: SetOfPackages, name: str) -> None:
    del packages.nix.packages[name]
    packages.nix.write()
    assert f"the package set ./flake has no {name}, which every package set needs" in packages.refused(request(name))
    packages.nix.packages[name] = name
    for broken in ("throwing", "mistaken"):
        setattr(packages.nix, broken, (name,))
        packages.nix.write()
        assert f"package '{name}' cannot be evaluated" in packages.refused(request(name))


def test_a_flake_that_fails_as_a_whole_is_no_ones_mistake(packages: SetOfPackages, golden: Golden) -> None:
    packages.nix.fails["eval"] = "error: infinite recursion encountered"
    packages.nix.write()
    golden("errors/nix/flake_fails.txt", packages.refused())


# ------------------------------------------------------------------------------------------------------------- building


def failed_build(packages: SetOfPackages, messages: list[str], log: list[str], drv: str) -> None:
    events: list[dict[str, object]] = [{"action": "start", "id": 1, "type": 105, "fields": [drv]}]
    events += [{"action": "result", "id": 1, "type": 101, "fields": [line]} for line in log]
    events += [{"action": "msg", "level": 0, "msg": message} for message in messages]
    packages.nix.build = (1, ["@nix " + json.dumps(event) for event in events])
    packages.nix.write()


def build_error(packages: SetOfPackages, tmp_path: Path) -> str:
    software = packages.software()
    answers = software.resolve([request("thing", stage="first"), request("thing", "other", stage="second")])
    store = Store(str(tmp_path / "store"))
    store.create()
    with pytest.raises(SoftwareError) as caught:
        software.realize(answers, open_writer(store, "/experiment.py"), lambda _: None)
    assert list(Path(store.objects).iterdir()) == []
    return packages.shown(caught.value)


def test_a_failed_build_is_told_with_package_stage_and_log(
    packages: SetOfPackages, tmp_path: Path, golden: Golden
) -> None:
    drv = packages.nix.drv("other")
    failed_build(packages, [f"error: builder for '{drv}' failed with exit code 2"], ["cc x.c", "x.c:1: error"], drv)
    golden("errors/nix/fake_build_fails.txt", build_error(packages, tmp_path))


def test_a_failed_dependency_is_told_with_the_package_that_needs_it(
    packages: SetOfPackages, tmp_path: Path, golden: Golden
) -> None:
    drv, wanted = f"/nix/store/{store_name('zlib')}.drv", packages.nix.drv("other")
    packages.nix.inputs[wanted] = [drv, wanted]
    messages = [
        f"error: hash mismatch in fixed-output derivation '{drv}':\n  specified: sha256-A\n     got:    sha256-B",
        f"error: 1 dependencies of derivation '{wanted}' failed to build",
    ]
    failed_build(packages, messages, [], drv)
    golden("errors/nix/fake_dependency_fails.txt", build_error(packages, tmp_path))


def test_a_full_disk_of_nix_is_told_as_one(packages: SetOfPackages, tmp_path: Path) -> None:
    drv = packages.nix.drv("thing")
    failed_build(
        packages, [f"error: builder for '{drv}' failed with exit code 1"], ["cp: No space left on device"], drv
    )
    assert "hint: free some space below /nix" in build_error(packages, tmp_path)
    failed_build(packages, ["error: writing to file: No space left on device"], [], "")
    shown = build_error(packages, tmp_path)
    assert shown.startswith("error: nix build failed\n")
    assert "hint: free some space below /nix" in shown


@pytest.mark.parametrize(
    ("version", "suffix"),
    [("nix (Nix) 2.8.0", ""), ("nix (Nix) 2.13.0", "^out"), ("nix (Lix, like Nix) 2.91.1", "^out")],
)
def test_a_derivation_is_named_as_each_version_wants_it(packages: SetOfPackages, version: str, suffix: str) -> None:
    packages.nix.version = version
    packages.nix.write()
    nix = Nix(program=str(packages.nix.program))
    nix.build([Package("/nix/store/x.drv", ("out",), "", "", ())], lambda _: None)
    (words,) = [words for words in packages.nix.calls() if words[0] == "build"]
    assert words[-1] == f"/nix/store/x.drv{suffix}"
    assert {"--no-link", "--json", "internal-json"} <= set(words)


@pytest.mark.parametrize(
    ("version", "strict"),
    [
        ("nix (Nix) 2.8.0", False),
        ("nix (Nix) 2.32.4", False),
        ("nix (Nix) 2.33.0", True),
        ("nix (Lix, like Nix) 2.94", False),
    ],
)
def test_a_closure_is_asked_for_in_a_form_that_each_version_has(
    packages: SetOfPackages, version: str, strict: bool
) -> None:
    packages.nix.version, packages.nix.strict = version, strict
    packages.nix.write()
    told = Nix(program=str(packages.nix.program)).closure(["/nix/store/x"])
    assert [one.name for one in told] == sorted(store_name(name) for name in packages.nix.packages)


def test_progress_is_heard_while_a_build_is_at_work(packages: SetOfPackages) -> None:
    lines = [
        '{"action":"start","id":9,"type":104}',
        '{"action":"start","id":1,"type":105,"fields":["/nix/store/0-thing-1.drv"]}',
        '{"action":"result","id":9,"type":105,"fields":[3,7,1,0]}',
    ]
    packages.nix.build = (0, [f"@nix {line}" for line in lines])
    packages.nix.write()
    heard: list[str] = []
    Nix(program=str(packages.nix.program)).build([], lambda progress: heard.append(f"{progress.done} {progress.at}"))
    assert heard == ["3 thing-1"]
    packages.nix.build = (1, [])
    packages.nix.write()
    with pytest.raises(BuildFailedError):
        Nix(program=str(packages.nix.program)).build([], lambda _: None)


def test_what_is_in_our_store_needs_no_nix_but_is_checked(packages: SetOfPackages, tmp_path: Path) -> None:
    """The closure is known and here: nothing is built. What was unknown before is looked at now."""
    store = Store(str(tmp_path / "store"))
    store.create()
    for name in packages.nix.packages:
        folder = Path(store.objects) / store_name(name) / "bin"
        folder.mkdir(parents=True)
        for program in (name, *BASE_PROGRAMS.get(name, ())):
            (folder / program).touch()
    good, wrong = request("other", script="other; grep x"), request("other", script="stranger", stage="wrong")
    first = packages.software()
    answers = first.resolve([good, wrong])
    memory = NixMemory(str(tmp_path / "memory"), read_reference("./flake", str(packages.root), HERE).key)
    told = Nix(program=str(packages.nix.program)).closure([])
    here = {one.name: nar_sha256(f"{store.objects}/{one.name}") for one in told}
    memory.paths.update((one.name, replace(one, nar_sha256=here[one.name])) for one in told)
    memory.keep()
    packages.nix.program.unlink()

    software = packages.software()
    answers = software.resolve([good, wrong])
    assert all(one.findings == () for one in answers)
    closure = software.realize(answers[:0], open_writer(store, "/experiment.py"), lambda _: None)
    assert set(closure.tools) == {"bash", "bubblewrap", "coreutils", "python3"}
    with pytest.raises(CheckError) as caught:
        software.realize(answers, open_writer(store, "/experiment.py"), lambda _: None)
    assert [(one.stage, one.message) for one in caught.value.findings] == [
        ("wrong", "command 'stranger' is not in the stage's software")
    ]


# --------------------------------------------------------------------------------------------------------------- memory


def known(directory: Path) -> NixMemory:
    memory = NixMemory(str(directory), "key")
    memory.state = FlakeState("path:/x", "sha256-x", "lock")
    memory.packages["thing"] = Package("/nix/store/x.drv", ("out",), "thing", "1", (store_name("thing"),))
    memory.keep()
    return NixMemory(str(directory), "key")


def test_a_memory_reads_what_it_kept(tmp_path: Path) -> None:
    assert known(tmp_path).knows(["thing"])
    assert not known(tmp_path).knows(["other"])
    assert not known(tmp_path).knows(["thing"], ["optional"])
    assert not NixMemory(str(tmp_path), "another key").knows([])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"3",
        b"\xff",
        b"[" * 100_000,
        b'{"format":1}',
        b'{"format":2}',
        b'{"format":1,"packages":[]}',
    ],
)
def test_a_memory_that_cannot_be_read_knows_nothing(tmp_path: Path, content: bytes) -> None:
    known(tmp_path)
    (tmp_path / "key.json").write_bytes(content)
    assert not NixMemory(str(tmp_path), "key").knows([])


def test_a_memory_names_store_paths_and_nothing_else(tmp_path: Path) -> None:
    known(tmp_path)
    file = tmp_path / "key.json"
    file.write_text(file.read_text().replace(store_name("thing"), "../../etc"))
    assert not NixMemory(str(tmp_path), "key").knows([])


def test_a_memory_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert not known(tmp_path / "file").knows(["thing"])
