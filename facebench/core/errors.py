"""Errors that a user can resolve."""

from __future__ import annotations


class FacebenchError(Exception):
    """Base class of errors that a user can resolve.

    The command line prints the message without a traceback and exits with 2. The message says what happened, names
    the file or key, and ends with what to do.
    """


class InputError(FacebenchError):
    """The input is invalid: a missing folder, a damaged manifest, an unknown name."""


class WeightsError(FacebenchError):
    """Trained weights are missing, damaged, of another network, or must not be downloaded."""


class StoreError(FacebenchError):
    """The feature store cannot be read or written."""


class LostProcess(FacebenchError):
    """Another process of a distributed evaluation ended, or did not answer in time."""
