"""Build the Lab directory from a derivation graph: software, checks, scripts, files on disk."""
