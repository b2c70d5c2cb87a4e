"""A Lab as a node reads it: stages, jobs and runs, each parsed once where it is read."""
