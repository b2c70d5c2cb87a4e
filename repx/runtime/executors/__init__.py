"""How attempts are started: one file an executor."""
