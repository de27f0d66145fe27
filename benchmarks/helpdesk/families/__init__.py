"""The stories: one function per family of tasks."""
