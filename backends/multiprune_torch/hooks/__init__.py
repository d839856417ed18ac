"""The hook classes, and how a pruned parameter is kept in its module."""
