"""From declarations to derivations: recipes, wiring and the graph; writes nothing."""
