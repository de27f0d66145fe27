"""The native Linux backend: namespaces, seccomp, cgroups and a warm server, with no outside program."""
