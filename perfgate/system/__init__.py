"""This operating system: locks, the environment of children, git, hosts."""
