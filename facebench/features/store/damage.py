"""Detection and repair of damage to the database file of the feature store."""

from __future__ import annotations

import sqlite3

from facebench.features.store.schema import SCHEMA, VERSION

DAMAGE_ERRORS = (sqlite3.Error, UnicodeDecodeError)
"""Errors that a damaged file causes. SQLite quotes damaged text in messages, which may not be valid UTF-8."""

_DAMAGE_WORDS = (
    "malformed",
    "not a database",
    "unsupported file format",
    "no such table",
    "no such column",
    "no such index",
    "has no column",
    "datatype mismatch",
    "could not decode",
    "database corruption",
)


def is_damage(error: Exception) -> bool:
    """Whether an error is caused by a damaged file.

    Violated constraints count: the store never violates them itself, but a damaged index does.
    """
    if isinstance(error, UnicodeDecodeError | sqlite3.IntegrityError):
        return True
    return any(words in str(error).lower() for words in _DAMAGE_WORDS)


def is_intact(db: sqlite3.Connection) -> bool:
    """Whether the file has the current format, all tables, and consistent pages and indexes.

    Raises:
        sqlite3.Error: the file cannot be checked, for example because it is locked.
    """
    try:
        if db.execute("PRAGMA user_version").fetchone() != (VERSION,):
            return False
        if not _schema_objects(db) >= _expected_objects():
            return False
        return bool(db.execute("PRAGMA integrity_check").fetchone() == ("ok",))
    except DAMAGE_ERRORS as error:
        if not is_damage(error):
            raise
        return False


def rebuild_indexes(db: sqlite3.Connection) -> bool:
    """Rebuild all indexes; return whether the file is intact afterwards.

    Raises:
        sqlite3.Error: the file cannot be changed, for example because it is locked.
    """
    try:
        db.execute("REINDEX")
    except DAMAGE_ERRORS as error:
        if not is_damage(error):
            raise
        return False
    return is_intact(db)


def _schema_objects(db: sqlite3.Connection) -> set[tuple[str, str, str]]:
    """Return type, name and columns of every table and index."""
    objects = db.execute("SELECT type, name FROM sqlite_master").fetchall()
    return {
        (kind, name, ",".join(row[1] for row in db.execute(f"PRAGMA table_info('{name}')")))
        for kind, name in objects
        if kind in ("table", "index")
    }


def _expected_objects() -> set[tuple[str, str, str]]:
    db = sqlite3.connect(":memory:")
    try:
        db.executescript(SCHEMA)
        return _schema_objects(db)
    finally:
        db.close()
