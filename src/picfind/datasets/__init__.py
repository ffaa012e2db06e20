"""Where pictures come from: one file a kind of source, found by its name."""
