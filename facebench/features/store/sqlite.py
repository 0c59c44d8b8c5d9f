"""SQLite feature store, addressed by content.

The address of an entry contains the sha256 of the image file, and the face geometry if the network received a crop.
It also contains the name of the network, the sha256 of its weights, and the id of its preprocessing. The store is a
single SQLite file in WAL mode; `docs/store.md` gives the reasons.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import quote

import numpy.typing as npt
from platformdirs import user_cache_dir

from facebench.core.errors import StoreError
from facebench.features.store.damage import DAMAGE_ERRORS, is_damage, is_intact, rebuild_indexes
from facebench.features.store.locks import locked
from facebench.features.store.maintenance import StoreInfo, prune, remove_damaged, store_info
from facebench.features.store.queries import (
    insert_network,
    select_entries,
    select_network_id,
    upsert_entry,
)
from facebench.features.store.schema import LAST_VERSION, SCHEMA, VERSION, Network, checksum
from facebench.features.store.serialisation import Arrays, deserialise, serialise

Result = TypeVar("Result")

_SECONDS_PER_DAY = 86400


def default_folder() -> Path:
    """Return the default folder: `store` in `FACEBENCH_CACHE` or, if unset, in the user's cache folder."""
    return Path(os.environ.get("FACEBENCH_CACHE") or user_cache_dir("facebench")) / "store"


class Store:
    """Feature store shared by all processes of a user.

    The file is opened at first use, so the caller can handle an unusable folder and continue without a
    store. A damaged entry counts as missing. Damaged indexes are rebuilt. A file with other damage is renamed and
    replaced by an empty one. All of these are reported in `warnings`.

    Args:
        folder: folder of `features.sqlite`; `default_folder()` by default.

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
        self._network_ids: dict[Network, int] = {}
        self._unusable: StoreError | None = None

    def get(self, network: Network, addresses: Sequence[bytes]) -> dict[bytes, dict[str, npt.NDArray[Any]]]:
        """Return the stored results by address; missing and damaged ones are left out.

        Raises:
            StoreError: the store cannot be read.
        """
        return self._guarded(lambda db: self._get(db, network, addresses), default={})

    def put(self, results: Sequence[tuple[Network, bytes, Arrays]]) -> None:
        """Write results in one transaction.

        Raises:
            StoreError: the store cannot be written.
        """
        self._guarded(lambda db: self._put(db, results), default=None)

    def info(self) -> StoreInfo:
        """Count entries and bytes by network."""
        empty = StoreInfo(self.path, 0, 0, {})
        if not self.path.exists():
            return empty
        return self._guarded(partial(store_info, path=self.path), default=empty)

    def verify(self) -> tuple[int, int]:
        """Check every entry against its checksum and remove the damaged ones.

        Returns:
            The number of intact entries and the number of removed entries.
        """
        return self._guarded(remove_damaged, default=(0, 0)) if self.path.exists() else (0, 0)

    def prune(self, max_bytes: int) -> int:
        """Remove the least recently used entries until the file is at most `max_bytes` long.

        Returns:
            The number of removed entries.
        """
        return self._guarded(partial(prune, max_bytes=max_bytes), default=0) if self.path.exists() else 0

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None
        self._network_ids.clear()

    def _guarded(self, action: Callable[[sqlite3.Connection], Result], default: Result) -> Result:
        """Run `action`. If the file is damaged, repair or replace it and return `default`.

        Raises:
            StoreError: any other error of the database or the file system.
        """
        try:
            try:
                return action(self._connected())
            except DAMAGE_ERRORS as error:
                if not is_damage(error) or self.read_only:
                    raise
                self._repair()
                return default
        except (*DAMAGE_ERRORS, OSError) as error:
            raise StoreError(self._message(error)) from error

    def _message(self, error: Exception) -> str:
        text = str(error)
        if "locked" in text:
            advice = "Another process holds it; wait until it has finished"
        elif "full" in text or "I/O" in text:
            advice = "Free disk space (`facebench store prune --max-size 1GB`)"
        else:
            advice = "Set FACEBENCH_CACHE to a writable folder"
        return f"The feature store {self.path} cannot be used ({text}). {advice}."

    def _connected(self) -> sqlite3.Connection:
        if self._unusable is not None:
            raise self._unusable
        if self._connection is None:
            try:
                self._connection = self._open()
            except StoreError as error:
                self._unusable = error  # do not wait for the same lock again
                raise
        return self._connection

    def _open(self) -> sqlite3.Connection:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            db = self._connect()
            self._set_up(db)
        except (sqlite3.OperationalError, OSError):
            if not self.path.is_file() or _is_writable(self.folder):
                raise
            # The store belongs to another user: read it without locks.
            self.read_only = True
            db = sqlite3.connect(f"file:{quote(str(self.path.resolve()))}?mode=ro&immutable=1", uri=True)
            db.text_factory = _decode_text
            db.execute("PRAGMA user_version").fetchone()
        return db

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, timeout=60, isolation_level=None)
        db.text_factory = _decode_text
        return db

    def _set_up(self, db: sqlite3.Connection) -> None:
        """Create the tables of a new file and check the format of an existing one."""
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if not 0 <= version <= LAST_VERSION:
            raise sqlite3.DatabaseError(f"malformed format number {version}")
        if version not in (0, VERSION):
            raise StoreError(
                f"The feature store {self.path} has format {version}; this facebench reads format {VERSION}. "
                "Set FACEBENCH_CACHE to another folder, or delete the file."
            )
        if version == 0:
            # SQLite fails at once if two processes change the journal mode at the same time.
            with locked(self.folder / "create.lock"):
                db.execute("PRAGMA auto_vacuum=INCREMENTAL")
                db.execute("PRAGMA journal_mode=WAL")
                with self._transaction(db):
                    for statement in SCHEMA.split(";"):
                        db.execute(statement)
                    db.execute(f"PRAGMA user_version={VERSION}")
        db.execute("PRAGMA synchronous=NORMAL")

    def _repair(self) -> None:
        """Rebuild the indexes of a damaged file or replace it, unless another process has done so already."""
        self.close()
        with locked(self.folder / "repair.lock"):
            state = self._state()
            if state == "damaged":
                renamed = self._set_aside()
        if state == "reindexed":
            self.warnings.append(
                f"The indexes of the feature store {self.path} were damaged and are rebuilt."
            )
        elif state == "damaged":
            self.warnings.append(
                f"The feature store {self.path} was damaged. It was renamed to {renamed} and replaced by an empty "
                "store; its results are computed again."
            )

    def _state(self) -> Literal["intact", "reindexed", "damaged"]:
        """Check the file, and rebuild its indexes if necessary."""
        with closing(self._connect()) as db:
            if is_intact(db):
                return "intact"
            return "reindexed" if rebuild_indexes(db) else "damaged"

    def _set_aside(self) -> str:
        """Rename the file; return its new name."""
        renamed = f"{self.path.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
        for suffix in ("", "-wal", "-shm"):
            file = self.path.with_name(self.path.name + suffix)
            if file.exists():
                file.rename(self.path.with_name(renamed + suffix))
        return renamed

    @contextmanager
    def _transaction(self, db: sqlite3.Connection) -> Iterator[None]:
        db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._network_ids.clear()  # ids assigned within the transaction are rolled back
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")

    def _network_id(self, db: sqlite3.Connection, network: Network) -> int | None:
        if network not in self._network_ids:
            network_id = select_network_id(db, network)
            if network_id is None:
                return None
            self._network_ids[network] = network_id
        return self._network_ids[network]

    def _get(
        self, db: sqlite3.Connection, network: Network, addresses: Sequence[bytes]
    ) -> dict[bytes, dict[str, npt.NDArray[Any]]]:
        network_id = self._network_id(db, network)
        if network_id is None:
            return {}
        results: dict[bytes, dict[str, npt.NDArray[Any]]] = {}
        outdated: list[tuple[int, int]] = []
        damaged = 0
        today = _today()
        for identifier, address, used, expected, data in select_entries(db, network_id, addresses):
            if not isinstance(data, bytes) or checksum(network, address, data) != expected:
                damaged += 1
                continue
            results[address] = deserialise(data)
            if used != today:
                outdated.append((today, identifier))
        if damaged:
            self.warnings.append(f"Damaged results of {network.name} are computed again: {damaged}.")
        if outdated and not self.read_only:
            with self._transaction(db):
                db.executemany("UPDATE entries SET used=? WHERE id=?", outdated)
        return results

    def _put(self, db: sqlite3.Connection, results: Sequence[tuple[Network, bytes, Arrays]]) -> None:
        if self.read_only:
            raise sqlite3.OperationalError("the folder is read-only")
        with self._transaction(db):
            for network, address, arrays in results:
                self._put_one(db, network, address, serialise(arrays))

    def _put_one(self, db: sqlite3.Connection, network: Network, address: bytes, data: bytes) -> None:
        network_id = self._network_id(db, network)
        if network_id is None:
            insert_network(db, network)
            network_id = self._network_id(db, network)
        upsert_entry(db, network_id, address, _today(), (checksum(network, address, data), data))


def _today() -> int:
    """Return the current day, counted from 1970."""
    return int(time.time() // _SECONDS_PER_DAY)


def _decode_text(data: bytes) -> str:
    """Decode a text cell; damaged text matches no network instead of raising an error."""
    return data.decode("utf-8", "replace")


def _is_writable(folder: Path) -> bool:
    return os.access(folder, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


__all__ = ["Network", "Store", "StoreInfo", "default_folder"]
