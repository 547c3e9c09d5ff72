"""The operating system: locks, environment variables of child processes, git, other hosts."""
