"""Downloads for real, from servers on this machine that do what servers do: cut, ignore, redirect, lie and hang."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import http.server
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from repx.agent.base.digest import plain_file_digest
from repx.agent.base.layout import Store
from repx.errors import SourceLocation, StoreError
from repx.model.values import Download, StoredPath
from repx.store.location import store_error
from repx.store.objects import add_objects
from repx.store.transfer.download import download, lock
from repx.store.writer import open_writer
from tests.machine import needs
from tests.runtime.test_disk import fill

DATA = bytes(range(256)) * 4096
HALF = len(DATA) // 2
HERE = SourceLocation("experiment.py", 7)


@dataclass
class Page:
    """What a server gives for one path."""

    data: bytes = DATA
    status: int = 200
    ranges: bool = True
    content_type: str | None = "application/gzip"
    location: str = ""
    chunked: bool = False
    lie: str = ""
    """Said as the Content-Range of a partial answer in place of the true one."""
    cuts: list[int] = field(default_factory=list)
    """For each request in turn: how many bytes are sent before the connection is cut."""
    gate: threading.Event | None = None
    """Waited for in the middle of the file."""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.server.log.append((self.path, asked))
        self.server.agents.add(self.headers["User-Agent"])
        page = self.server.pages.get(self.path, Page(b"no such page", status=404))
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and page.ranges else 0
        body, status = page.data[start:], page.status
        if start >= len(page.data) and asked and page.ranges:
            body, status = b"", 416
        elif asked and page.ranges:
            status = 206
        self.send_response(status)
        if status == 206:
            said = page.lie or f"bytes {start}-{len(page.data) - 1}/{len(page.data)}"
            self.send_header("Content-Range", said)
        if page.location:
            self.send_header("Location", page.location)
        if page.content_type:
            self.send_header("Content-Type", page.content_type)
        if page.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self._send(page, body)

    def _send(self, page: Page, body: bytes) -> None:
        end = page.cuts.pop(0) if page.cuts else len(body)
        pieces = [body[:end]] if page.gate is None else [body[: end // 2], body[end // 2 : end]]
        for piece in pieces:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if page.chunked else piece)
            self.wfile.flush()
            if page.gate is not None:
                page.gate.wait(30)
        if end < len(body):
            self.close_connection = True
        elif page.chunked:
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_: object) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    """A web server on loopback: its pages by path, and a log of who asked for what from where."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.pages: dict[str, Page] = {}
        self.log: list[tuple[str, str | None]] = []
        self.agents: set[str] = set()

    def url(self, path: str = "/f", page: Page | None = None) -> str:
        """The URL of a page, which is put there if it is given."""
        if page is not None:
            self.pages[path] = page
        return f"http://127.0.0.1:{self.server_port}{path}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that has gone is no news."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "*")
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        for page in server.pages.values():
            if page.gate is not None:
                page.gate.set()
        server.shutdown()
        thread.join()


class Place:
    """Where downloads go."""

    def __init__(self, folder: Path) -> None:
        self.part = folder / "f.part"
        self.target = folder / "f"

    def get(
        self, *urls: str, data: bytes = DATA, silence_s: float = 20, lock: Callable[[int], None] = lock
    ) -> list[str]:
        """Download; what was told if that failed, and nothing if the file is there as it should be."""
        told = self.get_beside_others(*urls, data=data, silence_s=silence_s, lock=lock)
        if told:
            assert not self.target.exists()
        else:
            assert names(self.target.parent) == ["f"]
        return told

    def get_beside_others(
        self, *urls: str, data: bytes = DATA, silence_s: float = 20, lock: Callable[[int], None] = lock
    ) -> list[str]:
        """The same, while others may be doing it too."""
        wanted = Download(urls, sha256(data), HERE)
        try:
            download(wanted, "f", part=str(self.part), target=str(self.target), silence_s=silence_s, lock=lock)
        except StoreError as error:
            return error.lines()
        assert self.target.read_bytes() == data
        # Who waits may see it in place before it is read-only.
        until(lambda: self.target.stat().st_mode & 0o777 == 0o444)
        return []


@pytest.fixture
def place(tmp_path: Path) -> Place:
    (tmp_path / "to").mkdir()
    return Place(tmp_path / "to")


def fact(told: list[str], label: str) -> str:
    """The value of the one fact with this label."""
    (line,) = [line for line in told if line.split()[0] == label]
    return line.split(maxsplit=1)[1]


def names(folder: str | Path) -> list[str]:
    return sorted(one.name for one in Path(folder).iterdir())


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_a_file_arrives_whole_and_read_only(server: Server, place: Place) -> None:
    assert place.get(server.url(page=Page())) == []
    assert server.log == [("/f", None)]
    (agent,) = server.agents
    assert agent.startswith("repx/")


@pytest.mark.parametrize("data", [b"", b"x", DATA + b"x"])
@pytest.mark.parametrize("chunked", [False, True])
def test_files_of_all_sizes(server: Server, place: Place, data: bytes, chunked: bool) -> None:
    assert place.get(server.url(page=Page(data, chunked=chunked)), data=data) == []


@pytest.mark.parametrize("chunked", [False, True])
def test_a_cut_connection_is_told_and_the_next_try_asks_from_the_middle(
    server: Server, place: Place, chunked: bool
) -> None:
    url = server.url(page=Page(cuts=[HALF], chunked=chunked))
    told = place.get(url)
    assert fact(told, "failed").startswith("the connection ended")
    assert told[-1] == f"hint: run the same command again: the {HALF} bytes that have come are kept"
    assert place.part.read_bytes() == DATA[:HALF]
    assert place.get(url) == []
    assert server.log == [("/f", None), ("/f", f"bytes={HALF}-")]


def test_many_cuts_are_taken_up_one_after_the_other(server: Server, place: Place) -> None:
    url = server.url(page=Page(cuts=[1000, 1000, 1000]))
    for _ in range(3):
        assert place.get(url)
    assert place.get(url) == []
    assert [asked for _, asked in server.log] == [None, "bytes=1000-", "bytes=2000-", "bytes=3000-"]


def test_a_mirror_goes_on_where_another_one_was_cut(server: Server, place: Place) -> None:
    first = server.url("/first", Page(cuts=[HALF]))
    assert place.get(first, server.url("/second", Page())) == []
    assert server.log == [("/first", None), ("/second", f"bytes={HALF}-")]


def test_a_server_that_knows_no_ranges_starts_over(server: Server, place: Place) -> None:
    url = server.url(page=Page(cuts=[HALF], ranges=False))
    assert place.get(url)
    assert place.get(url) == []
    assert server.log == [("/f", None), ("/f", f"bytes={HALF}-")]


@pytest.mark.parametrize("lie", ["bytes 0-9/10", "bytes */9", "pages 1-2"])
def test_a_server_that_gives_another_range_is_asked_for_the_whole(server: Server, place: Place, lie: str) -> None:
    place.part.write_bytes(DATA[:10])
    assert place.get(server.url(page=Page(lie=lie))) == []
    assert server.log == [("/f", "bytes=10-"), ("/f", None)]


def test_a_server_that_gives_pieces_only_is_no_source(server: Server, place: Place) -> None:
    told = place.get(server.url(page=Page(status=206, lie="bytes 10-19/20")))
    assert "a piece of the file" in fact(told, "failed")


@pytest.mark.parametrize("extra", [0, 1, 1000])
def test_a_part_as_long_as_the_file_or_longer_starts_over(server: Server, place: Place, extra: int) -> None:
    place.part.write_bytes(b"?" * (len(DATA) + extra))
    assert place.get(server.url(page=Page())) == []
    assert [asked for _, asked in server.log] == [f"bytes={len(DATA) + extra}-", None]


def test_a_part_that_is_whole_needs_no_server(server: Server, place: Place) -> None:
    place.part.write_bytes(DATA)
    assert place.get(server.url()) == []
    assert server.log == []


def test_a_first_half_of_something_else_is_thrown_away(server: Server, place: Place) -> None:
    place.part.write_bytes(b"?" * HALF)
    assert place.get(server.url(page=Page())) == []
    assert [asked for _, asked in server.log] == [f"bytes={HALF}-", None]


def test_a_wrong_hash_never_poisons_a_later_try(server: Server, place: Place) -> None:
    url = server.url(page=Page(b"old"))
    told = place.get(url)
    assert told == [
        "error: 'f' cannot be fetched",
        "  at        experiment.py:7",
        f"  expected  {sha256(DATA)}",
        f"  url       {url}",
        f"  got       {sha256(b'old')}",
        "            3 bytes, application/gzip",
        f'hint: if the file that came is the one you want, write sha256="{sha256(b"old")}"',
    ]
    assert not place.part.exists()
    server.pages["/f"] = Page()
    assert place.get(url) == []
    assert [asked for _, asked in server.log] == [None, None]


def test_a_wrong_mirror_never_poisons_the_next(server: Server, place: Place) -> None:
    """It is cut, so that the next one is asked for the rest of it first."""
    wrong = server.url("/wrong", Page(b"?" * len(DATA), cuts=[HALF]))
    assert place.get(wrong, server.url("/right", Page())) == []
    assert server.log == [("/wrong", None), ("/right", f"bytes={HALF}-"), ("/right", None)]


def test_a_page_in_place_of_the_file_is_told_as_one(server: Server, place: Place) -> None:
    told = place.get(server.url(page=Page(b"<h1>Sorry</h1>", content_type="text/html; charset=utf-8")))
    assert "            14 bytes, text/html; charset=utf-8" in told
    assert "a web page came" in told[-1]
    server.pages["/f"] = Page(b"x", content_type=None)
    assert "            1 bytes, of no content type" in place.get(server.url())


def test_mirrors_are_asked_in_their_order_and_each_is_told(server: Server, place: Place, tmp_path: Path) -> None:
    urls = [server.url("/gone"), server.url("/wrong", Page(b"?")), (tmp_path / "none").as_uri()]
    told = place.get(*urls)
    assert [line.split(maxsplit=1) for line in told[3:-1]] == [
        ["url", urls[0]],
        ["failed", "404 Not Found"],
        ["mirror", urls[1]],
        ["got", sha256(b"?")],
        ["1", "bytes, application/gzip"],
        ["mirror", urls[2]],
        ["failed", "No such file or directory"],
    ]
    assert place.get(*urls, server.url("/right", Page()), server.url("/never", Page())) == []
    assert [path for path, _ in server.log] == ["/gone", "/wrong", "/gone", "/wrong", "/right"]


def test_an_error_keeps_what_an_earlier_try_got(server: Server, place: Place) -> None:
    place.part.write_bytes(DATA[:HALF])
    told = place.get(server.url("/gone"))
    assert fact(told, "failed") == "404 Not Found"
    assert "check the URL" in told[-1]
    assert place.get(server.url(page=Page())) == []
    assert server.log[-1] == ("/f", f"bytes={HALF}-")


def test_redirects_are_followed_and_the_range_with_them(server: Server, place: Place) -> None:
    server.url(page=Page())
    place.part.write_bytes(DATA[:HALF])
    assert place.get(server.url("/moved", Page(b"", status=302, ranges=False, location="/f"))) == []
    assert server.log == [("/moved", f"bytes={HALF}-"), ("/f", f"bytes={HALF}-")]


@pytest.mark.parametrize("location", ["file:///etc/passwd", "/f", "gopher://127.0.0.1/", "ftp://127.0.0.1/f"])
def test_redirects_to_nowhere_end(server: Server, place: Place, location: str) -> None:
    told = place.get(server.url(page=Page(b"", status=302, location=location)))
    assert fact(told, "failed")


def test_a_port_where_nobody_listens(place: Place) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        told = place.get(f"http://127.0.0.1:{taken.getsockname()[1]}/f")
    assert fact(told, "failed") == "Connection refused"
    assert not place.part.exists()


def test_a_host_that_cannot_be_is_told(place: Place) -> None:
    assert fact(place.get(f"http://{'a' * 70}.invalid/f"), "failed")


@pytest.mark.parametrize("answer", [b"", b"220 this is not the web\r\n", b"HTTP/1.1 200\r\n" + b"A" * 70_000])
def test_a_server_that_speaks_something_else(place: Place, answer: bytes) -> None:
    with OneAnswer(answer) as port:
        assert fact(place.get(f"http://127.0.0.1:{port}/f"), "failed")
    assert not place.part.exists()


def test_a_silent_server_is_given_up_and_what_it_gave_is_kept(server: Server, place: Place) -> None:
    url = server.url(page=Page(gate=threading.Event()))
    told = place.get(url, silence_s=0.2)
    assert fact(told, "failed") == "not a byte came for 0.2 s"
    assert place.part.read_bytes() == DATA[:HALF]
    server.pages["/f"].gate = None
    assert place.get(url) == []
    assert server.log[-1] == ("/f", f"bytes={HALF}-")


def test_a_file_of_this_machine(place: Place, tmp_path: Path) -> None:
    source = tmp_path / "söme file#1"
    source.write_bytes(DATA)
    place.part.write_bytes(DATA[:10])
    assert place.get(source.as_uri()) == []
    assert source.read_bytes() == DATA


def test_a_folder_of_this_machine_is_no_file(place: Place, tmp_path: Path) -> None:
    assert fact(place.get(tmp_path.as_uri()), "failed") == "Is a directory"


def test_certificates_are_verified(
    server: Server, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs(shutil.which("openssl"), "there is no openssl to make a certificate")
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        str(key),
        "-out",
        str(certificate),
    ]
    subprocess.run([*command, *subject], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    url = server.url(page=Page()).replace("http:", "https:")
    # What some programs do for connections of their own must not count for ours.
    monkeypatch.setattr(ssl, "_create_default_https_context", ssl._create_unverified_context)
    assert "certificate cannot be trusted" in fact(place.get(url), "failed")
    assert server.log == []
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert place.get(url) == []


def test_of_two_at_once_one_asks_and_both_have_it(server: Server, place: Place) -> None:
    gate = threading.Event()
    url = server.url(page=Page(gate=gate))
    with ThreadPoolExecutor() as pool:
        first = pool.submit(place.get_beside_others, url)
        until(lambda: len(server.log) == 1)
        others = [pool.submit(place.get_beside_others, url) for _ in range(3)]
        time.sleep(0.1)
        gate.set()
        assert [one.result() for one in (first, *others)] == [[]] * 4
    assert server.log == [("/f", None)]


def test_who_waited_for_one_that_failed_goes_on_with_its_part(server: Server, place: Place) -> None:
    gate = threading.Event()
    url = server.url(page=Page(gate=gate, cuts=[HALF]))
    with ThreadPoolExecutor() as pool:
        first = pool.submit(place.get_beside_others, url)
        until(lambda: len(server.log) == 1)
        second = pool.submit(place.get_beside_others, url)
        time.sleep(0.1)
        gate.set()
        assert first.result()
        assert second.result() == []
    assert server.log == [("/f", None), ("/f", f"bytes={HALF}-")]


def test_who_waited_for_one_with_a_wrong_hash_starts_afresh(server: Server, place: Place) -> None:
    gate = threading.Event()
    wrong = server.url("/wrong", Page(b"??", gate=gate))
    with ThreadPoolExecutor() as pool:
        first = pool.submit(place.get_beside_others, wrong)
        until(lambda: len(server.log) == 1)
        second = pool.submit(place.get_beside_others, server.url(page=Page()))
        time.sleep(0.1)
        gate.set()
        assert first.result()
        assert second.result() == []
    assert server.log == [("/wrong", None), ("/f", None)]


def test_without_locks_everyone_has_a_part_of_their_own(server: Server, place: Place) -> None:
    """As on a Lustre that is mounted without flock."""

    def no_lock(descriptor: int) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    place.part.write_bytes(b"being written by somebody")
    told = place.get(server.url(page=Page(cuts=[HALF])), lock=no_lock)
    assert told[-1].startswith("hint: check the URL")
    assert names(place.part.parent) == ["f.part"]
    assert place.part.read_bytes() == b"being written by somebody"
    wanted = Download((server.url(),), sha256(DATA), HERE)
    download(wanted, "f", part=str(place.part), target=str(place.target), lock=no_lock)
    assert place.target.read_bytes() == DATA
    assert server.log == [("/f", None), ("/f", None)]


def test_a_broken_lock_is_an_error_of_the_disk(server: Server, place: Place) -> None:
    def broken(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with pytest.raises(OSError, match="Input/output"):
        place.get(server.url(page=Page()), lock=broken)
    assert server.log == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_process_that_is_ended_leaves_a_part_that_is_taken_up(
    server: Server, place: Place, number: signal.Signals
) -> None:
    url = server.url(page=Page(gate=threading.Event()))
    code = (
        "from repx.store.transfer.download import *; from repx.errors import SourceLocation; "
        f"download(Download(({url!r},), {sha256(DATA)!r}, SourceLocation('x', 1)), 'f', "
        f"part={str(place.part)!r}, target={str(place.target)!r})"
    )
    home = Path(__file__).parents[3]
    with subprocess.Popen([sys.executable, "-c", code], cwd=home, stderr=subprocess.DEVNULL) as process:
        until(lambda: place.part.exists() and place.part.stat().st_size == HALF)
        process.send_signal(number)
        assert process.wait() == -number
    assert place.part.read_bytes() == DATA[:HALF]
    server.pages["/f"].gate = None
    assert place.get(url) == []
    assert server.log == [("/f", None), ("/f", f"bytes={HALF}-")]


def test_a_wait_for_another_one_can_be_interrupted_and_leaves_its_part_alone(place: Place) -> None:
    place.part.touch()
    with place.part.open("r+b") as held:
        fcntl.flock(held, fcntl.LOCK_EX)

        def interrupted(descriptor: int) -> None:
            with pytest.raises(BlockingIOError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            place.get("http://127.0.0.1:1/f", lock=interrupted)
        assert place.part.exists()


def test_a_full_disk_is_told_and_taken_up_when_there_is_room(server: Server, tmp_path: Path) -> None:
    needs(os.geteuid() == 0 and shutil.which("mount"), "only root may mount a file system")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "none", str(disk)], check=False)
    needs(mounted.returncode == 0, "mounting is not allowed here")
    try:
        store = Store(str(disk))
        store.create()
        ballast = fill(disk, but=HALF)
        path = a_path(server.url(page=Page()))
        with pytest.raises(OSError, match="No space left") as caught:
            add_object(store, path)
        assert "the store cannot be written: No space left on device" in str(store_error(caught.value, store))
        assert names(store.objects) == []
        ballast.unlink()
        assert Path(add_object(store, path)).read_bytes() == DATA
        assert names(store.tmp) == []
        (_, (_, asked)) = server.log
        assert asked is not None
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_an_object_that_is_there_asks_nobody(server: Server, tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    store.create()
    first = add_object(store, a_path(server.url(page=Page())))
    assert Path(first).read_bytes() == DATA
    assert add_object(store, a_path(server.url("/gone"))) == first
    assert server.log == [("/f", None)]
    assert names(store.tmp) == []


def add_object(store: Store, path: StoredPath) -> str:
    return add_objects(open_writer(store, "/experiment.py"), [path])[path].place


def a_path(url: str) -> StoredPath:
    digest = sha256(DATA)
    return StoredPath("f", plain_file_digest(digest), url, "file", Download((url,), digest, HERE))


def until(happened: Callable[[], bool]) -> None:
    """Wait for something that should happen at once."""
    deadline = time.monotonic() + 20
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.005)


class OneAnswer:
    """A port that takes a request, says something whatever it was, and hangs up."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def __enter__(self) -> int:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        port: int = self._socket.getsockname()[1]
        return port

    def _serve(self) -> None:
        connection, _ = self._socket.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(self._answer)

    def __exit__(self, *_: object) -> None:
        self._thread.join()
        self._socket.close()
