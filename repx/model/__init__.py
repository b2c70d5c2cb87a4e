"""Values and hashing: names, fingerprints, resources, derivations and their graph; no I/O."""
