"""GNU hello, from its source to what it says: one file known by its hash, and four stages in a closure."""

from pathlib import Path

from repx import Input, Lab, Output, Run, bash, fetch, nix, out

HERE = Path(__file__).resolve().parent

# A file beside this one when GNU cannot be reached (see get-source): the hash is what counts, not the place.
SOURCE = fetch(
    "https://ftp.gnu.org/gnu/hello/hello-2.10.tar.gz",
    sha256="31e066137a962676e89f69d1b65382de95a7ef7d914b8cb956f41ea72e0f516b",
    mirrors=[f"{HERE.as_uri()}/hello-2.10.tar.gz"],
)


def copied(tree, copy):
    """Lines of Bash: an output is read-only, so who works in a tree works in a copy (-H: an input may be a link).

    Its files get one time, whatever became of their times on the way: none is older than what it is made from, and make
    leaves the generated ones alone.
    """
    return f"""
        cp -rH "{tree}" "{copy}"
        chmod -R u+w "{copy}"
        find "{copy}" -exec touch -h -d @1 {{}} +
    """


@bash(packages=["gnutar", "gzip"])
def unpack(archive: Input, source: Output = out("source")):
    return """
        mkdir "$source"
        tar -xzf "$archive" -C "$source" --strip-components=1 --no-same-owner
    """


@bash(packages=["gcc", "gnumake", "diffutils"])
def configure(source: Input, configured: Output = out("configured")):
    return f"""
        {copied(source, configured)}
        cd "$configured"
        ./configure --quiet --disable-nls --disable-dependency-tracking CFLAGS=-O2
    """


@bash(packages=["gcc", "gnumake", "diffutils"])
def make(configured: Input, program: Output = out("hello")):
    return f"""
        {copied(configured, "tree")}
        make -C tree
        mv tree/hello "$program"
        rm -r tree
    """


# The program was bound to the closure's glibc when it was linked: a stage that runs it names it.
@bash(packages=["glibc"])
def say(program: Input, words: Output = out("words.txt")):
    return '"$program" > "$words"'


def hello():
    say(make(configure(unpack(archive=SOURCE))))


lab = Lab(runs=[Run("hello", hello)], packages=nix("../nix-debian"), version="1.0.0")
