"""The suites that every index, encoder and dataset must pass, for those who write one.

Subclass a suite in a file of tests and give it the thing to test; pytest does the rest:

    class TestMyIndex(IndexSuite):
        def create(self, dim: int) -> VectorIndex: ...
        def load(self, path: Path) -> VectorIndex: ...

`pytest.register_assert_rewrite("picfind.testing")` in `conftest.py`, before anything imports it, makes failures tell
more. `toy_encoder`, `toy_words` and `toy_pair` are real, tiny encoders for tests of what stands above encoders.
"""

from __future__ import annotations

from picfind.testing.datasets import DatasetSuite
from picfind.testing.encoders import EncoderSuite
from picfind.testing.index import IndexSuite
from picfind.testing.toy import toy_encoder, toy_pair, toy_words

__all__ = ["DatasetSuite", "EncoderSuite", "IndexSuite", "toy_encoder", "toy_pair", "toy_words"]
