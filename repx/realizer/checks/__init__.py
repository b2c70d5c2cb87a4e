"""Checks of scripts before anything is built: ShellCheck, commands, imports."""
