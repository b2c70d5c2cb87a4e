"""Python bodies as text: what a stage uses of its module, cut out, and the normal form that identifies it."""
