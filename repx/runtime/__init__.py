"""Run what a Lab describes and is not done yet."""
