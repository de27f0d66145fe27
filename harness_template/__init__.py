"""The starting harness that `hone init` copies: a plain folder; nothing of it is imported from here."""
