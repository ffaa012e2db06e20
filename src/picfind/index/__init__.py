"""Unit vectors to neighbours: one file a kind of index, found by its name."""
