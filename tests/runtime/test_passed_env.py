"""Variables that a target lets through to jobs: given, recorded, in no id, and without the values of secrets."""

from __future__ import annotations

import pytest

from repx.agent.passed_env import told_variables
from tests.runtime.world import World, a_world

__all__ = ["a_world"]

EXPERIMENT = """
@bash(env={"FIXED": "by the stage"})
def tell(result: Output = out("r.txt")):
    return 'echo "${MODEL_DIR-unset} ${FIXED-unset} ${OTHER-unset} ${NOBODY-unset}" > "$result"'

lab = Lab(runs=[Run("work", tell)])
"""


def test_a_job_gets_what_the_target_names_and_its_record_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in (("MODEL_DIR", "/models"), ("FIXED", "by me"), ("OTHER", "x"), ("API_KEY", "hush")):
        monkeypatch.setenv(name, text)
    world.realize(EXPERIMENT)
    world.run()
    assert world.output("tell", "r.txt") == "unset by the stage unset unset\n"
    (plain,) = world.job_directories("tell")
    assert world.attempts("tell")[-1].passed_env == {}

    (world.root / "config.toml").write_text('[targets.local]\npass_env = ["MODEL_DIR", "FIXED", "NOBODY", "API_KEY"]\n')
    monkeypatch.setenv("REPX_CONFIG", str(world.root / "config.toml"))
    assert world.run().answer["found"] == 1, "it is in no id"
    world.run("--force")
    assert world.job_directories("tell") == [plain]
    assert world.output("tell", "r.txt") == "/models by the stage unset unset\n"
    assert world.attempts("tell")[-1].passed_env == {"MODEL_DIR": "/models", "API_KEY": None}
    shown = world.repx("show", "job", "tell").stdout
    assert "MODEL_DIR  /models\n" in shown
    assert "API_KEY    (not recorded)\n" in shown
    assert "hush" not in "".join(file.read_text() for file in plain.glob("*.jsonl"))


@pytest.mark.parametrize("name", ["API_KEY", "GITHUB_TOKEN", "db_password", "PGPASS", "MY_PASS", "AWS_SECRET", "AUTH"])
def test_what_may_be_a_secret_is_told_by_its_name_alone(name: str) -> None:
    assert told_variables({name: "hush"}) == {name: None}


@pytest.mark.parametrize("name", ["CUDA_VISIBLE_DEVICES", "LM_LICENSE_FILE", "PATTERN", "COMPASS", "HTTPS_PROXY"])
def test_what_is_no_secret_is_told(name: str) -> None:
    assert told_variables({name: "0,1"}) == {name: "0,1"}


@pytest.mark.parametrize("user", ["me:hush@", "me@", ":hush@"])
def test_of_an_address_user_and_password_are_left_out(user: str) -> None:
    assert told_variables({"HTTPS_PROXY": f"http://{user}proxy:8080/"}) == {"HTTPS_PROXY": "http://…@proxy:8080/"}
