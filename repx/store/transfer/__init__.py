"""How bytes from elsewhere come into a store."""
