"""Labs, objects and outcomes on disk: reading, publishing, validating."""
