"""Errors meant for people: what happened, which file or key, what to do."""

from __future__ import annotations


class FacebenchError(Exception):
    """Something the user can act on; the command line prints it without a traceback and exits with 2.

    The message says what happened, names the file or key, and ends with what to do about it.
    """


class InputError(FacebenchError):
    """The input given is not usable: a missing folder, a broken manifest, an unknown name."""


class WeightsError(FacebenchError):
    """Trained weights are missing, damaged, of another network, or not allowed to be fetched."""


class StoreError(FacebenchError):
    """The feature store cannot be read or written."""
