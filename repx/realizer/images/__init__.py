"""OCI images of a Lab: planned, written as layers once, laid out."""
