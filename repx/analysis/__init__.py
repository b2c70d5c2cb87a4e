"""Results by name and parameter."""
