"""Files from elsewhere as values: what identifies them, what cannot be one, and that they reach their jobs."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import repx
from repx.agent.base.digest import nix_base32, tree_digest
from repx.dsl.fetch import LONGEST_NAME, fetch
from repx.errors import DefinitionError, StoreError
from repx.lab.directory import LabDirectory
from repx.lab.verification import verify
from tests.experiments import Experiments, experiments_fixture, ids, jobs

__all__ = ["experiments_fixture"]

URL = "https://mirror.invalid/pub/data.csv"
DATA = b"x,y\n1,2\n"
EMPTY = hashlib.sha256(b"").hexdigest()
HASH = hashlib.sha256(DATA).hexdigest()


def complaint(call: Callable[[], object]) -> str:
    """What the user reads when `call` is refused; every complaint has its place in this file."""
    with pytest.raises(DefinitionError) as caught:
        call()
    assert caught.value.location is not None
    assert caught.value.location.file == __file__
    return "\n".join(caught.value.lines())


def test_it_is_what_a_path_to_the_same_bytes_is(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_bytes(DATA)
    fetched, here = fetch(URL, sha256=HASH), repx.path(tmp_path / "data.csv")
    assert fetched == here
    assert hash(fetched) == hash(here)
    assert (fetched.name, fetched.kind, str(fetched)) == ("data.csv", "file", "data.csv")


@given(st.binary(max_size=100))
def test_its_digest_is_that_of_the_file_it_will_be(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    file = tmp_path_factory.mktemp("t") / "data.csv"
    file.write_bytes(data)
    assert fetch(URL, sha256=hashlib.sha256(data).hexdigest()).digest == tree_digest(str(file))


@given(st.binary(min_size=32, max_size=32))
def test_a_hash_means_the_same_in_each_of_its_forms(digest: bytes) -> None:
    forms = [digest.hex(), digest.hex().upper(), nix_base32(digest), f"sha256-{base64.b64encode(digest).decode()}"]
    assert {one.digest for one in (fetch(URL, sha256=form) for form in forms)} == {fetch(URL, sha256=forms[0]).digest}
    download = fetch(URL, sha256=forms[2]).download
    assert download is not None
    assert download.sha256 == digest.hex()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "has 0 characters"),
        (HASH[:-1], "has 63 characters"),
        (HASH + "\n", "has 65 characters"),
        (HASH[:32], "has 32 characters, as many as an MD5"),
        (HASH[:40], "has 40 characters, as many as a SHA-1"),
        (HASH * 2, "has 128 characters, as many as a SHA-512"),
        ("g" + HASH[1:], "has 'g' in it, which is not a hex digit"),
        ("é" + HASH[1:], "has 'é' in it, which is not a hex digit"),
        ("e" + "0" * 51, "has 'e' in it, which is not a digit of Nix's base-32"),
        ("z" + "0" * 51, "starts with 'z', and is more than 256 bits"),
        ("sha512-" + "A" * 86 + "==", "is not a SHA-256, by its own words: sha512"),
        ("sha256-" + "A" * 43, "has no base64 behind the hyphen"),
        ("sha256-" + "A" * 42 + "?=", "has no base64 behind the hyphen"),
        ("sha256-é", "has no base64 behind the hyphen"),
        ("sha256-AAAA", "holds 3 bytes, and a SHA-256 has 32"),
        (b"a" * 64, "is not a text"),
        (None, "is not a text"),
    ],
)
def test_a_hash_that_is_none_is_told_why(text: Any, reason: str) -> None:
    told = complaint(lambda: fetch(URL, sha256=text))
    assert reason in told
    assert f"url  {URL}" in told
    assert "hint: give the 64 hex digits that sha256sum prints" in told


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("data/x.csv", "it is not a URL\nhint: a URL begins with http://"),
        ("/data/x.csv", "it is not a URL"),
        ("", "it is not a URL"),
        ("s3://bucket/x.csv", "s3: is not supported"),
        ("git+https://host/x", "git+https: is not supported"),
        ("data:text/plain,x", "data: is not supported"),
        ("https:///x.csv", "it names no host\nhint: write https://host/path"),
        ("https://:80/x.csv", "it names no host"),
        ("ftp://host/x.csv", "ftp: is not supported"),
        ("https://host:port/x.csv", "Port could not be cast"),
        ("https://host:99999/x.csv", "Port out of range"),
        ("https://[::1/x.csv", "Invalid IPv6 URL"),
        ("https://host/my data.csv", "no blanks"),
        (" https://host/x.csv ", "hint: write https://host/x.csv"),
        ("https://host/a\nb", "hint: write https://host/a%0Ab"),
        ("https://host/ä 100%25?q=[1]", "hint: write https://host/%C3%A4%20100%25?q=[1]"),
        ("https://host/\udcff", "hint: write https://host/?"),
        ("file:x.csv", "not an absolute path of this machine\nhint: write file:///absolute/path"),
        ("file://host/x.csv", "not an absolute path of this machine"),
        (Path("x.csv"), "is not a URL"),
        (b"https://host/x.csv", "is not a URL"),
        (None, "is not a URL"),
    ],
)
def test_what_cannot_be_a_url_is_told_why(url: Any, reason: str) -> None:
    told = complaint(lambda: fetch(url, sha256=HASH, name="x.csv"))
    assert all(line in told for line in reason.split("\n"))
    assert "url  " not in told
    told = complaint(lambda: fetch(URL, sha256=HASH, mirrors=["https://host/", url]))
    assert all(line in told for line in reason.split("\n"))
    assert f"url  {URL}" in told


@pytest.mark.parametrize("url", ["https://me:secret@host/x", "https://secret@host/x", "http://a secret@b:c/"])
def test_a_password_is_refused_and_not_repeated(url: str) -> None:
    told = complaint(lambda: fetch(url, sha256=HASH))
    assert "a user's name or password" in told
    assert "secret" not in told
    assert "secret" not in complaint(lambda: fetch(URL, sha256=HASH, mirrors=[url]))


@pytest.mark.parametrize("url", ["HTTP://host/x", "http://[::1]:80/x", "file:///x", "file://localhost/x"])
def test_these_are_urls(url: str) -> None:
    assert fetch(url, sha256=HASH).name == "x"


@pytest.mark.parametrize("mirrors", [URL, b"x", None, 3, {URL}])
def test_mirrors_are_a_list(mirrors: Any) -> None:
    assert "give a list of URLs: mirrors=[…]" in complaint(lambda: fetch(URL, sha256=HASH, mirrors=mirrors))


def test_urls_are_asked_once_each_in_their_order() -> None:
    others = ["https://b.invalid/", "https://a.invalid/", "https://b.invalid/", URL]
    download = fetch(URL, sha256=HASH, mirrors=others).download
    assert download is not None
    assert download.urls == (URL, "https://b.invalid/", "https://a.invalid/")


@pytest.mark.parametrize(
    ("end", "name"),
    [
        ("data.csv", "data.csv"),
        ("data.csv?download=1#top", "data.csv"),
        ("a%20b%C3%A9.csv", "a bé.csv"),
        ("..data", "..data"),
        ("x" * LONGEST_NAME, "x" * LONGEST_NAME),
    ],
)
def test_its_name_is_the_last_part_of_the_url(end: str, name: str) -> None:
    assert fetch(f"https://host/pub/{end}", sha256=HASH).name == name


@pytest.mark.parametrize("end", ["", "?x=y.csv", ".", "..", "a%2Fb", "%00", "%2e%2e", "%FF", "x" * (LONGEST_NAME + 1)])
def test_a_url_without_a_name_needs_one(end: str) -> None:
    url = f"https://host/pub/{end}"
    told = complaint(lambda: fetch(url, sha256=HASH))
    assert "the URL ends in no name for its file" in told
    assert 'name="data.csv"' in told
    assert fetch(url, sha256=HASH, name="data.csv").name == "data.csv"


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\0", "\udcff", "é" * LONGEST_NAME, 3, b"x", Path("x")])
def test_a_name_that_is_given_must_be_one(name: Any) -> None:
    assert "cannot be the name of a file" in complaint(lambda: fetch(URL, sha256=HASH, name=name))


def test_a_name_is_part_of_what_it_is_and_a_url_is_not() -> None:
    assert fetch(URL, sha256=HASH) == fetch("https://elsewhere.invalid/data.csv", sha256=HASH, mirrors=[URL])
    assert fetch(URL, sha256=HASH) != fetch(URL, sha256=HASH, name="other.csv")
    assert fetch(URL, sha256=HASH) != fetch(URL, sha256="0" * 64)


WORK = """
@bash
def count(data: Input, lines: Output = out("lines.txt"), *, reference: Path, n: int = 1):
    return 'cat "$data" "$reference" | wc -l > "$lines"'

@bash
def each(data: Input, copy: Output = out("copy.txt")):
    return 'cat "$data" > "$copy"'

def work():
    count(data=SOURCE, reference=SOURCE)
    each(data=SOURCE)

lab = Lab(runs=[Run("work", work), Run("sweep", each, params={"data": [OTHER, SOURCE]})])
"""


def the_lab(source: str, other: str) -> str:
    return WORK.replace("SOURCE", source).replace("OTHER", other)


def test_jobs_are_those_of_a_path_to_the_same_bytes(experiments: Experiments) -> None:
    files = {"data.csv": DATA.decode(), "other.csv": "x\n"}
    paths = experiments.graph(the_lab('repx.path("data.csv")', 'repx.path("other.csv")'), files)
    other = hashlib.sha256(b"x\n").hexdigest()
    fetched = experiments.graph(
        the_lab(f'repx.fetch("{URL}", sha256="{HASH}")', f'repx.fetch("file:///no/other.csv", sha256="{other}")')
    )
    assert len(jobs(paths)) == 3
    assert ids(fetched) == ids(paths)


def test_an_error_says_the_line_of_the_experiment(experiments: Experiments) -> None:
    text = "\n\nsource = repx.fetch('https://host/x', sha256='1234')\n"
    assert "at   experiment.py:3\n" in experiments.error(text)
    told = experiments.error("\nsource = repx.fetch('https://host/x', sha='1234')\n")
    assert "fetch has no keyword 'sha'" in told
    assert "did you mean sha256?" in told


@pytest.fixture(name="realized")
def realizing(experiments: Experiments, tmp_path: Path) -> Callable[[str], LabDirectory]:
    """Makes a Lab of an experiment."""

    def realize(text: str) -> LabDirectory:
        lab = experiments.lab(text)
        directory = repx.realize(lab, store=str(tmp_path / "store"))
        assert isinstance(directory, LabDirectory)
        return directory

    return realize


def test_a_lab_holds_the_file_whoever_gave_it(realized: Callable[[str], LabDirectory], tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.csv"
    elsewhere.write_bytes(DATA)
    gone = (tmp_path / "gone.csv").as_uri()
    source = f'repx.fetch("{gone}", sha256="{HASH}", mirrors=["{elsewhere.as_uri()}"], name="data.csv")'
    first = realized(the_lab(source, 'repx.path("experiment.py")'))
    verify(first)
    (stored,) = Path(first.path).glob("store/*-data.csv")
    assert stored.read_bytes() == DATA
    assert stored.stat().st_mode & 0o777 == 0o444
    # From now on nobody is asked.
    elsewhere.unlink()
    assert realized(the_lab(source, 'repx.path("experiment.py")')).path == first.path


def test_what_nobody_has_makes_no_lab(realized: Callable[[str], LabDirectory], tmp_path: Path) -> None:
    gone = (tmp_path / "gone.csv").as_uri()
    source = f'repx.fetch("{gone}", sha256="{HASH}")'
    with pytest.raises(StoreError) as caught:
        realized(the_lab(source, 'repx.path("experiment.py")'))
    told = "\n".join(caught.value.lines())
    assert "'gone.csv' cannot be fetched" in told
    assert re.search(r"at +\S*/experiment\.py:1[14]\n", told)
    assert list((tmp_path / "store" / "labs").iterdir()) == []
    assert list((tmp_path / "store" / "objects").glob("*-gone.csv")) == []
    assert list((tmp_path / "store" / "tmp").iterdir()) == []


def test_a_stage_reads_what_was_fetched(experiments: Experiments, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.csv"
    elsewhere.write_bytes(DATA)
    source = f'repx.fetch("{elsewhere.as_uri()}", sha256="{HASH}")'
    lab = experiments.lab(the_lab(source, f'repx.fetch("file:///no", sha256="{EMPTY}", name="empty")'))
    made = repx.realize_many(lab, store=str(tmp_path / "store"))
    outputs = sorted(path.read_text() for one in made for path in one.outputs.values())
    assert outputs == ["", "4\n", DATA.decode()]
