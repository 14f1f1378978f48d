"""The ways a command can end, as exceptions that carry their exit code (0 is: complete).

Raise one with a message that says where, what and what to do next; the entry points print it without a
traceback.
"""

from __future__ import annotations


class SaoError(Exception):
    """Base of every error that a user can cause or fix; `exit_code` is what the command returns."""

    exit_code = 2


class UsageError(SaoError):
    """Wrong usage, wrong configuration, or an output directory that belongs to another dataset."""

    exit_code = 2


class TooManyRejects(SaoError):
    """The dataset is complete, but more was rejected than the manifest allows."""

    exit_code = 3


class Stopped(SaoError):
    """Stopped cleanly (signal, quota, full disk): nothing is lost, the same command continues."""

    exit_code = 4


class Later(Stopped):
    """A unit cannot be finished now: a quota is used up, an original is not to be had yet. Others may be."""


class SourceChanged(Stopped):
    """A source says something else of a work than when it was listed: it must be decided anew."""


class IntegrityError(SaoError):
    """Stored bytes are not what their tables say."""

    exit_code = 5


class Locked(SaoError):
    """Another run holds the directory."""

    exit_code = 6


class MatchedNothing(SaoError):
    """The question was understood and nothing answers it."""

    exit_code = 7
