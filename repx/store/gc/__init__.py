"""What can be collected from a store: a picture of it, what is dead in that, and the one place that deletes."""
