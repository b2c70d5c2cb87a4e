"""What both Labs are made of: a C program built in two ways, and one way to run it."""

from repx import Input, Inputs, Output, bash, out


@bash(packages=["gcc", "gnumake"])
def build(sources: Inputs, program: Output = out("greet"), made: Output = out("make.txt")):
    """The pure way: everything is compiled, in a copy of the sources, whose content is in the job's identity."""
    return """
        mkdir tree
        cp "${sources[@]}" tree
        make -C tree > "$made"
        mv tree/greet "$program"
        rm -r tree
    """


@bash(packages=["gcc", "gnumake"], impure=True)
def build_in_place(
    program: Output = out("greet"), made: Output = out("make.txt"), *, tree: str, revision: str = "unknown"
):
    """The impure way: make runs in the tree itself, and compiles only what has changed since it last did.

    - What is in the tree is not in the job's identity: repx sees no change there, so the job is done once and for all,
      until it is forced, or `revision` says something new.
    - The result depends on what was there: old objects, files that are nowhere else.
    - Two such jobs at once in one tree disturb each other; repx keeps only equal jobs apart.
    """
    return """
        echo "revision $revision"
        make -C "$tree" > "$made"
        cp "$tree/greet" "$program"
    """


# A program is bound to the closure's glibc when it is linked: a stage that runs it names it.
@bash(packages=["glibc"])
def run(program: Input, said: Output = out("said.txt")):
    return '"$program" > "$said"'
