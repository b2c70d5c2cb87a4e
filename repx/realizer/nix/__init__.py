"""The package set of a flake: evaluated, checked, built, and what its store paths hold."""
