"""What a machine can do for repx, probed one thing at a time; needs nothing of the runtime."""
