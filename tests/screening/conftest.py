"""The tiny tagger of tests/embedders, for those who screen with it."""

from tests.embedders.test_ast_audioset import weights

__all__ = ["weights"]
