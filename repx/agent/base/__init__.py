"""What both sides of a node agree on: paths, digests, files, records; starts nothing and knows no job that runs."""
