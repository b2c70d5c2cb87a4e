"""Which calls and names read what is around a program: environment, arguments, folder, clock, chance, files, processes.

Knows dotted names alone; does not know which code runs when.
"""

from __future__ import annotations

import ast
from collections.abc import Set
from typing import NamedTuple


class Reading(NamedTuple):
    """What is read, for people, and by what."""

    what: str
    name: str


_NAMES: dict[str, frozenset[str]] = {
    "the environment": frozenset({"os.environ", "os.environb"}),
    "the arguments of the program": frozenset({"sys.argv", "sys.orig_argv"}),
    "its standard input": frozenset({"sys.stdin"}),
}
"""What need not be called."""

_CALLS: dict[str, frozenset[str]] = {
    "the environment": frozenset(
        "os.getenv os.getenvb os.path.expandvars os.path.expanduser os.getlogin os.get_exec_path getpass.getuser "
        "pathlib.Path.home pathlib.Path.expanduser shutil.which".split()
    ),
    "its standard input": frozenset({"input", "getpass.getpass", "fileinput.input"}),
    "the working directory": frozenset(
        "os.getcwd os.getcwdb os.path.abspath os.path.realpath pathlib.Path.cwd pathlib.Path.resolve "
        "pathlib.Path.absolute".split()
    ),
    "the clock": frozenset(
        "time.time time.time_ns time.monotonic time.monotonic_ns time.perf_counter time.perf_counter_ns "
        "time.process_time time.thread_time time.localtime time.gmtime time.ctime time.asctime time.strftime".split()
    ),
    "chance": frozenset("uuid.uuid1 uuid.uuid4 os.urandom os.getrandom random.SystemRandom".split()),
    "a file": frozenset(
        "open io.open os.open codecs.open gzip.open bz2.open lzma.open tarfile.open zipfile.ZipFile "
        "sqlite3.connect shelve.open dbm.open wave.open os.listdir os.scandir os.walk os.fwalk os.stat os.lstat "
        "os.access os.readlink pathlib.Path.exists pathlib.Path.stat pathlib.Path.open os.path.exists "
        "os.path.isfile os.path.isdir os.path.islink os.path.getsize os.path.getmtime glob.glob glob.iglob "
        "linecache.getline linecache.getlines numpy.load numpy.loadtxt numpy.genfromtxt numpy.fromfile "
        "numpy.memmap joblib.load torch.load PIL.Image.open h5py.File netCDF4.Dataset xarray.open_dataset "
        "imageio.imread matplotlib.pyplot.imread cv2.imread soundfile.read scipy.io.loadmat scipy.io.wavfile.read "
        "pyarrow.parquet.read_table runpy.run_path".split()
    ),
    "the network": frozenset(
        "urllib.request.urlopen urllib.request.urlretrieve requests.get requests.post requests.request "
        "socket.gethostname socket.create_connection platform.node".split()
    ),
    "what another program says": frozenset(
        "subprocess.run subprocess.call subprocess.check_call subprocess.check_output subprocess.getoutput "
        "subprocess.getstatusoutput subprocess.Popen os.system os.popen".split()
    ),
    "the machine": frozenset(
        "os.cpu_count os.process_cpu_count os.sched_getaffinity os.getloadavg os.getpid os.getppid os.uname "
        "multiprocessing.cpu_count platform.uname platform.platform".split()
    ),
}
_OF_MODULES = {"secrets": "chance", "tempfile": "chance"}
"""Modules of which this holds for whatever is called."""

_TABLES = ("pandas", "polars", "geopandas", "dask.dataframe")
"""Libraries whose functions `read_…` and `scan_…` read files."""

_METHODS = {
    **dict.fromkeys("read_text read_bytes iterdir rglob glob is_file is_dir".split(), "a file"),
    **dict.fromkeys(["parse_args", "parse_known_args"], "the arguments of the program"),
}
"""Methods that say so whatever they are called on."""

_CLOCKS = frozenset({"now", "utcnow", "today"})

_GENERATORS = frozenset("Random RandomState default_rng SeedSequence PCG64 PCG64DXSM MT19937 Philox SFC64".split())
"""What makes a generator of numbers, and seeds it by chance where it is not told how."""

_NOT_DRAWS = frozenset("seed getstate setstate get_state set_state Generator BitGenerator get_bit_generator".split())


def reading_of(node: ast.AST, dotted: str, seeded: Set[str]) -> Reading | None:
    """What a node reads that is a name, an attribute or a call; `dotted` is what it, or the function called, means.

    It begins with a dot where nobody knows what a method is called on. `seeded` are the generators of libraries that
    the code seeds itself: "random", "numpy.random".
    """
    if not isinstance(node, ast.Call):
        what = next((what for what, names in _NAMES.items() if dotted in names), None)
        return Reading(what, dotted) if what else None
    name = dotted.rpartition(".")[2]
    top = dotted.partition(".")[0]
    what = next((what for what, names in _CALLS.items() if dotted in names), None)
    if what is None and "." in dotted and top:
        what = _OF_MODULES.get(top)
        if name.startswith(("read_", "scan_")) and dotted.startswith(_TABLES):
            what = "a file"
        elif name in _CLOCKS:
            what = "the clock"
        elif what is None and _is_drawn(node, dotted, seeded):
            what = "chance"
    if what is None and "." in dotted and not (name.startswith("parse_") and node.args):
        what = _METHODS.get(name)
    return Reading(what, dotted.lstrip(".")) if what else None


def _is_drawn(call: ast.Call, dotted: str, seeded: Set[str]) -> bool:
    """Whether a call takes a number that no seed in the code decides."""
    module, _, name = dotted.rpartition(".")
    if module not in ("random", "numpy.random"):
        return False
    if name in _GENERATORS:
        first = [*call.args, *(one.value for one in call.keywords)][:1]
        return not first or (isinstance(first[0], ast.Constant) and first[0].value is None)
    return name not in _NOT_DRAWS and module not in seeded
