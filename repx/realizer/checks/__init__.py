"""What is looked at in scripts before anything is built: ShellCheck, commands, imports."""
