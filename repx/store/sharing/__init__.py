"""Labs and results carried between stores, and as archives."""
