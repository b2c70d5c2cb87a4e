"""The configuration file: what it may say, and one complaint that names all that is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from repx.errors import UsageError
from repx.runtime.config import load_config
from repx.runtime.target import ANY, Target
from repx.runtime.targets import config_path, find_target


def written(place: Path, text: str) -> str:
    (place / "config.toml").write_text(text)
    return str(place / "config.toml")


def complaint(place: Path, text: str) -> str:
    with pytest.raises(UsageError) as refused:
        load_config(written(place, text))
    return str(refused.value)


def test_all_that_a_target_may_say(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        '[targets.local]\nisolation = ["podman", "native"]\nmount_paths = ["/data//x/", "//srv", "~/y"]\n'
        "mount_host_paths = true\npass_env = ['B', 'A_1']\n[targets.other]\n",
    )
    assert load_config(path) == {
        "local": Target(
            ("podman", "native"),
            ("/data/x", "/srv", str(Path("~/y").expanduser())),
            mount_host_paths=True,
            pass_env=("B", "A_1"),
        ),
        "other": Target(ANY, (), mount_host_paths=False),
    }


@pytest.mark.parametrize(
    ("line", "named", "because"),
    [
        ('isolation = ["bwarp"]', "targets.local.isolation.0", "'native', 'bwrap', 'podman' or 'docker'"),
        ("isolation = []", "targets.local.isolation", "at least 1"),
        ('isolation = "bwrap"', "targets.local.isolation", "valid tuple"),
        ('mount_paths = ["data"]', "targets.local.mount_paths.0", "give an absolute path"),
        ('mount_paths = ["/a\\u0000b"]', "targets.local.mount_paths.0", "give an absolute path"),
        ("mount_paths = [1]", "targets.local.mount_paths.0", "valid string"),
        ('mount_paths = ["/data", "/"]', "targets.local.mount_paths.1", "mount_host_paths = true"),
        ('mount_paths = ["/data/.."]', "targets.local.mount_paths.0", "mount_host_paths = true"),
        ('mount_paths = ["/nix/store/x"]', "targets.local.mount_paths.0", "a sandbox has a /nix of its own"),
        ('mount_paths = ["//proc/sys"]', "targets.local.mount_paths.0", "a sandbox has a /proc of its own"),
        ('mount_paths = ["/repx"]', "targets.local.mount_paths.0", "a sandbox has a /repx of its own"),
        ('mount_host_paths = "yes"', "targets.local.mount_host_paths", "valid boolean"),
        ("mount_host_paths = 1", "targets.local.mount_host_paths", "valid boolean"),
        ("pass_env = ['A', 'B=1']", "targets.local.pass_env.1", "'B=1' is not the name of a variable"),
        ("pass_env = ['PATH']", "targets.local.pass_env.0", "every job has a PATH of its own"),
        ("pass_env = 'A'", "targets.local.pass_env", "valid tuple"),
        ("mounts = []", "targets.local.mounts", "not permitted"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(tmp_path: Path, line: str, named: str, because: str) -> None:
    told = complaint(tmp_path, f"[targets.local]\n{line}\n")
    assert f"the configuration {tmp_path}/config.toml is not valid" in told
    assert named in told
    assert because in told
    assert "pydantic" not in told


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    told = complaint(tmp_path, 'other = 1\n[targets.a]\nisolation = ["x"]\n[targets.b]\nmount_paths = ["y"]\n')
    for named in ("other", "targets.a.isolation.0", "targets.b.mount_paths.0"):
        assert named in told


@pytest.mark.parametrize("content", [b"[targets", b"[targets.a]\nx = \xff", b"a = 1\na = 2"])
def test_what_is_no_toml_is_one_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "config.toml").write_bytes(content)
    with pytest.raises(UsageError, match="is not TOML"):
        load_config(str(tmp_path / "config.toml"))


def test_names_that_begin_like_a_sandboxs_own_are_not_its_own(tmp_path: Path) -> None:
    path = written(
        tmp_path, '[targets.a]\nmount_paths = ["/nixos", "/processed", "/repx-data", "/tmp/x", "/dev/kvm"]\n'
    )
    assert load_config(path)["a"].mount_paths == ("/nixos", "/processed", "/repx-data", "/tmp/x", "/dev/kvm")


def test_without_a_configuration_there_is_the_local_target(tmp_path: Path) -> None:
    assert find_target("local", {"XDG_CONFIG_HOME": str(tmp_path)}) == Target()
    with pytest.raises(UsageError, match="'lcoal'"):
        find_target("lcoal", {"XDG_CONFIG_HOME": str(tmp_path)})


def test_a_configuration_that_is_named_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file or directory"):
        find_target("local", {"REPX_CONFIG": str(tmp_path / "none.toml")})
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        find_target("local", {"REPX_CONFIG": str(tmp_path / "folder")})


def test_where_the_configuration_is_looked_for(tmp_path: Path) -> None:
    assert config_path({"REPX_CONFIG": "/x.toml", "XDG_CONFIG_HOME": "/y"}) == "/x.toml"
    assert config_path({"XDG_CONFIG_HOME": "/y"}) == "/y/repx/config.toml"
    (tmp_path / "repx").mkdir()
    written(tmp_path / "repx", '[targets.far]\nisolation = ["docker"]\n')
    assert find_target("far", {"XDG_CONFIG_HOME": str(tmp_path)}).isolation == ("docker",)
