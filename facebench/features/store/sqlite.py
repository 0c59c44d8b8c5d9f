"""The feature store: what was computed once is kept under the content it was computed from.

An entry is addressed by the sha256 of an image file's bytes (and of the face geometry, when the network saw a
crop), the network's name, the sha256 of its weights and the identity of its preprocessing. It is one SQLite
file in WAL mode; `docs/store.md` says why.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import numpy.typing as npt
from filelock import FileLock
from platformdirs import user_cache_dir

from facebench.core.errors import StoreError
from facebench.features.store.maintenance import StoreInfo, count, prune, remove_damaged
from facebench.features.store.schema import SCHEMA, VERSION, Network, checksum
from facebench.features.store.serialisation import Arrays, pack, unpack

Result = TypeVar("Result")

_QUERY = 500  # addresses in one SELECT: SQLite's smallest usual limit on parameters is 999


def default_folder() -> Path:
    """Folder of the store: `store` in the user's cache folder, or in `FACEBENCH_CACHE` when that is set."""
    return Path(os.environ.get("FACEBENCH_CACHE") or user_cache_dir("facebench")) / "store"


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    return any(words in str(error) for words in ("malformed", "not a database", "unsupported file format"))


def _writable(folder: Path) -> bool:
    return os.access(folder, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


class Store:
    """Results by content, shared by all runs and processes of a user.

    Nothing is opened before the first use, so a folder that cannot be written is reported where the caller
    can carry on without it. A damaged entry counts as absent, a damaged file is set aside and begun anew;
    both are told in `warnings`.

    Args:
        folder: where `features.sqlite` lies; `default_folder()` when None.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> store = Store(tempfile.mkdtemp())
        >>> network = Network("sface", weights="fb14...", preprocessing="v1")
        >>> store.put([(network, b"sha256 of an image", {"norm": np.float32([9.5])})])
        >>> store.get(network, [b"sha256 of an image", b"another"])
        {b'sha256 of an image': {'norm': array([9.5], dtype=float32)}}
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        self.folder = Path(folder) if folder is not None else default_folder()
        self.path = self.folder / "features.sqlite"
        self.warnings: list[str] = []
        self.read_only = False
        self._connection: sqlite3.Connection | None = None
        self._numbers: dict[Network, int] = {}

    def get(self, network: Network, addresses: Sequence[bytes]) -> dict[bytes, dict[str, npt.NDArray[Any]]]:
        """The stored results among `addresses`; damaged ones are left out and told in `warnings`.

        Raises:
            StoreError: the store cannot be read.
        """
        return self._guarded(lambda db: self._get(db, network, addresses), otherwise={})

    def put(self, results: Sequence[tuple[Network, bytes, Arrays]]) -> None:
        """Write results in one transaction: after a crash either all of them are there or none.

        Raises:
            StoreError: the store cannot be written (read-only, disk full).
        """
        self._guarded(lambda db: self._put(db, results), otherwise=None)

    def info(self) -> StoreInfo:
        """Count what is stored, by network."""
        empty = StoreInfo(self.path, 0, 0, {})
        return self._guarded(partial(count, path=self.path), otherwise=empty) if self.path.exists() else empty

    def verify(self) -> tuple[int, int]:
        """Check every entry against its checksum and remove the damaged ones.

        Returns:
            The number of sound entries and the number of removed ones.
        """
        return self._guarded(remove_damaged, otherwise=(0, 0)) if self.path.exists() else (0, 0)

    def prune(self, max_bytes: int) -> int:
        """Remove the entries unused for longest until the file is at most `max_bytes` long.

        Returns:
            The number of removed entries.
        """
        return self._guarded(partial(prune, max_bytes=max_bytes), otherwise=0) if self.path.exists() else 0

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None
        self._numbers.clear()

    def _guarded(self, action: Callable[[sqlite3.Connection], Result], otherwise: Result) -> Result:
        """Run `action`; a damaged file is set aside and answered with `otherwise`, the rest raises."""
        try:
            return action(self._connected())
        except sqlite3.DatabaseError as error:
            if not _is_damage(error) or self.read_only:
                raise StoreError(self._explain(error)) from error
            self._set_aside()
            return otherwise
        except OSError as error:
            raise StoreError(self._explain(error)) from error

    def _explain(self, error: Exception) -> str:
        words = str(error)
        if "locked" in words:
            advice = "Another process holds it; wait for it to end"
        elif "full" in words or "I/O" in words:
            advice = "Free some disk space (`facebench store prune --max-size 1GB`)"
        else:
            advice = "Set FACEBENCH_CACHE to a folder that you can write"
        return f"The feature store {self.path} cannot be used ({words}). {advice}."

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = self._open()
        return self._connection

    def _open(self) -> sqlite3.Connection:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            db = sqlite3.connect(self.path, timeout=60, isolation_level=None)
            self._set_up(db)
        except (sqlite3.OperationalError, OSError):
            if not self.path.is_file() or _writable(self.folder):
                raise
            # Someone else's store, not ours to write: its results are still good to read.
            self.read_only = True
            db = sqlite3.connect(f"file:{quote(str(self.path.resolve()))}?mode=ro&immutable=1", uri=True)
            db.execute("PRAGMA user_version").fetchone()
        return db

    def _set_up(self, db: sqlite3.Connection) -> None:
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version not in (0, VERSION):
            raise StoreError(
                f"The feature store {self.path} was written by another facebench (format {version}, this one "
                f"reads {VERSION}). Set FACEBENCH_CACHE to another folder, or delete the file."
            )
        if version == 0:
            with FileLock(
                self.folder / "create.lock"
            ):  # SQLite does not wait when two change the journal at once
                db.execute("PRAGMA auto_vacuum=INCREMENTAL")
                db.execute("PRAGMA journal_mode=WAL")
                with self._transaction(db):
                    for statement in SCHEMA.split(";"):
                        db.execute(statement)
                    db.execute(f"PRAGMA user_version={VERSION}")
        db.execute("PRAGMA synchronous=NORMAL")

    def _set_aside(self) -> None:
        """Move a damaged file out of the way, unless another process has done so already."""
        self.close()
        with FileLock(self.folder / "repair.lock"):
            if self._is_sound():
                return
            aside = f"{self.path.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
            for suffix in ("", "-wal", "-shm"):
                part = self.path.with_name(self.path.name + suffix)
                if part.exists():
                    part.rename(self.path.with_name(aside + suffix))
        self.warnings.append(
            f"The feature store {self.path} was damaged. It was set aside as {aside} and a new one begun; "
            "what it held is computed again."
        )

    def _is_sound(self) -> bool:
        try:
            db = sqlite3.connect(self.path, timeout=60, isolation_level=None)
            try:
                self._set_up(db)
                return bool(db.execute("PRAGMA integrity_check").fetchone() == ("ok",))
            finally:
                db.close()
        except sqlite3.DatabaseError:
            return False

    @contextmanager
    def _transaction(self, db: sqlite3.Connection) -> Iterator[None]:
        db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._numbers.clear()  # a number given within the transaction is gone with it
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")

    def _number(self, db: sqlite3.Connection, network: Network) -> int | None:
        if network not in self._numbers:
            row = db.execute(
                "SELECT id FROM networks WHERE name=? AND weights=? AND preprocessing=?",
                (network.name, network.weights, network.preprocessing),
            ).fetchone()
            if row is None:
                return None
            self._numbers[network] = row[0]
        return self._numbers[network]

    def _get(
        self, db: sqlite3.Connection, network: Network, addresses: Sequence[bytes]
    ) -> dict[bytes, dict[str, npt.NDArray[Any]]]:
        number = self._number(db, network)
        found: dict[bytes, dict[str, npt.NDArray[Any]]] = {}
        stale: list[tuple[int, int]] = []
        damaged = 0
        today = int(time.time() // 86400)
        for start in range(0, len(addresses) if number is not None else 0, _QUERY):
            part = addresses[start : start + _QUERY]
            rows = db.execute(
                "SELECT id, address, used, checksum, data FROM entries JOIN contents USING (id) "
                f"WHERE network=? AND address IN ({','.join('?' * len(part))})",
                (number, *part),
            )
            for identifier, address, used, expected, data in rows:
                if checksum(network, address, data) != expected:
                    damaged += 1
                    continue
                found[address] = unpack(data)
                if used != today:
                    stale.append((today, identifier))
        if damaged:
            self.warnings.append(f"Stored results of {network.name} damaged and computed again: {damaged}.")
        if stale and not self.read_only:
            with self._transaction(db):
                db.executemany("UPDATE entries SET used=? WHERE id=?", stale)
        return found

    def _put(self, db: sqlite3.Connection, results: Sequence[tuple[Network, bytes, Arrays]]) -> None:
        if self.read_only:
            raise sqlite3.OperationalError("the folder is read-only")
        today = int(time.time() // 86400)
        with self._transaction(db):
            for network, address, arrays in results:
                number = self._number(db, network)
                if number is None:
                    db.execute(
                        "INSERT INTO networks(name, weights, preprocessing) VALUES (?, ?, ?)",
                        (network.name, network.weights, network.preprocessing),
                    )
                    number = self._number(db, network)
                data = pack(arrays)
                (identifier,) = db.execute(
                    "INSERT INTO entries(network, address, used, size) VALUES (?, ?, ?, ?) "
                    "ON CONFLICT DO UPDATE SET used=excluded.used, size=excluded.size RETURNING id",
                    (number, address, today, len(data)),
                ).fetchone()
                db.execute(
                    "INSERT OR REPLACE INTO contents(id, checksum, data) VALUES (?, ?, ?)",
                    (identifier, checksum(network, address, data), data),
                )


__all__ = ["Network", "Store", "StoreInfo", "default_folder"]
