"""What went wrong in a rollout, seen in its trace by code alone: one small function per kind of mistake."""
