"""An experiment whose jobs try what a job must not be able to do; says what came of it, judges nothing."""

from __future__ import annotations

EXPERIMENT = '''
import repx
from pathlib import Path

@bash
def earlier(kept: Output = out("kept.txt")):
    return """echo kept > "$kept"; echo left > /tmp/left; echo left > "$HOME/left-too"; echo left > /dev/shm/left """

@bash
def neighbour(kept: Output = out("kept.txt"), *, secret: Path = repx.path("neighbour.txt")):
    return 'cat "$secret" > "$kept"'

def tried(act, *arguments):
    """What an act gives, or by which error it is refused."""
    import errno
    try:
        return {"gives": repr(act(*arguments))}
    except OSError as error:
        return {"error": errno.errorcode.get(error.errno, type(error).__name__)}

def look(path):
    import os
    if os.path.isdir(path):
        return sorted(os.listdir(path))
    with open(path, "rb") as file:
        return file.read(4000)

def change(path):
    """Open for writing, of all ways the one that changes nothing by itself."""
    import os
    os.close(os.open(path, os.O_WRONLY | (0 if os.path.lexists(path) else os.O_CREAT | os.O_EXCL)))

def in_namespace(act):
    """The error number of an act in a child that is root in a user namespace of its own."""
    import ctypes, os
    child = os.fork()
    if child == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        new_user, new_mount = 0x10000000, 0x00020000
        refused = libc.unshare(new_user | new_mount) or act(libc)
        os._exit(ctypes.get_errno() if refused else 0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

def remount(libc):
    read_write, remount, bind = 0, 32, 4096
    return libc.mount(b"none", b"/repx", None, read_write | remount | bind, None)

def unmount(libc):
    return libc.umount2(b"/proc/sys", 2) and libc.umount2(b"/repx/out", 2)

def reach(family, address):
    import socket
    with socket.socket(family, socket.SOCK_STREAM) as client:
        client.settimeout(3)
        client.connect(address)
        return client.recv(100)

def commands():
    """The command lines of all processes that are to be seen."""
    import glob
    return [open(file, "rb").read().decode() for file in glob.glob("/proc/[0-9]*/cmdline")]

@stage(packages=["python3", "numpy"], env={"STAGE_SAYS": "it's = \\"so\\""})
def attack(
    before: Input, text: Input, folder: Input, found: Output = out("found.json"), *,
    port: int, socket_name: str, outside: str, stored: Path,
):
    import json, os, socket
    here = {str(text), str(before), str(stored), f"{folder}/deep.txt", f"{folder}/sub/deeper.txt"}
    told = {
        "environment": dict(os.environ),
        "tmp": [os.listdir("/tmp"), os.listdir(os.environ["HOME"]), os.listdir("/dev/shm")],
        "ids": [os.getuid(), os.getgid(), os.getgroups(), os.uname().nodename, os.getcwd()],
        "status": dict(line.split(":", 1) for line in open("/proc/self/status")),
        "devices": open("/proc/net/dev").read(),
        "reads": {path: tried(look, path) for path in outside.splitlines()},
        "root": sorted(os.listdir("/")),
        "outputs": tried(look, "/repx/out"),
        "inputs": sorted(f"{place}/{name}" for place, _, names in os.walk("/repx/in") for name in names),
        "reads_input": {path: tried(look, path)["gives"] for path in here},
        "writes_input": {path: tried(change, path) for path in here},
        "chmods_input": {path: tried(os.chmod, path, 0o666) for path in here},
        "removes_input": {path: tried(os.unlink, path) for path in here},
        "touches_input": {path: tried(os.utime, path) for path in here},
        "links_input": {path: tried(os.link, path, "/repx/out/link") for path in here},
        "writes": {
            path: tried(change, path) for path in (
                f"{folder}/new", "/new", "/nix/new", "/nix/store/new", "/etc/new", "/etc/passwd", "/usr/bin/new",
                "/usr/bin/env", "/bin/new", "/bin/sh", "/repx/new", "/repx/in/new", "/repx/inputs.json", "/repx/claim",
                "/var/new", "/run/new", "/root/new", "/sys/new", "/sys/kernel/profiling",
                "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/sysrq-trigger",
                "/proc/irq/default_smp_affinity", "/proc/mtrr",
            )
        },
        "may_write": {path: tried(change, path) for path in ("/repx/out/x", "/tmp/x", "/dev/shm/x", "/dev/null")},
        "remounts": in_namespace(remount),
        "unmounts": in_namespace(unmount),
        "mknod": tried(os.mknod, "/tmp/disk", 0o60666, os.makedev(254, 0)),
        "loopback": tried(reach, socket.AF_INET, ("127.0.0.1", port)),
        "abstract": tried(reach, socket.AF_UNIX, "\\0" + socket_name),
        "resolves": tried(socket.getaddrinfo, "repx.example.com", 80),
        "localhost": tried(socket.getaddrinfo, "localhost", 80),
        "commands": commands(),
        "terminal": tried(change, "/dev/tty"),
    }
    import numpy
    told["numpy"] = numpy.__file__
    os.unlink("/repx/out/x")
    found.write_text(json.dumps(told, sort_keys=True, indent=1))

def attacks():
    before = earlier()
    neighbour()
    attack(
        before=before.kept, text=repx.path("text.txt"), folder=repx.path("folder"), stored=repx.path("stored.txt"),
        port=PORT, socket_name=SOCKET, outside=OUTSIDE,
    )
'''
"""`PORT`, `SOCKET` and `OUTSIDE` (a path a line) are the test's to set before; its files are those of `FILES`."""

FILES = {
    "text.txt": "text\n",
    "stored.txt": "stored\n",
    "neighbour.txt": "a neighbour's\n",
    "folder/deep.txt": "deep\n",
    "folder/sub/deeper.txt": "deeper\n",
}
