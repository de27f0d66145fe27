"""The reduced backend: Landlock, seccomp and limits per process, without namespaces; only when asked for."""
