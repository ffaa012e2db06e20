"""Measurements, run from the project's folder: `python -m benchmarks.indexing --help`. Never part of the tests."""
