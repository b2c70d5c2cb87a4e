"""A Lab on disk, read: its manifest, run files and jobs, and the names by which people ask for them."""
