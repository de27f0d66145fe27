"""The loop, on one screen, and its resume."""
