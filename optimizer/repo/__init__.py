"""Git: trees read and candidate commits made without a work tree."""
