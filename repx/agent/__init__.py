"""What runs on a node around one job, and what both sides must agree on; standard library only, Python 3.9."""
