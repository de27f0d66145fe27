"""Agents that try to get out, to get more, or to leave something behind; each runs inside the real sandbox."""
