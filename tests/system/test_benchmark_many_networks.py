"""benchmarks/many_networks_page.py: the section of the page follows from the measurements."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.many_networks_page import MARKS, write_page

MACHINE = {"processor": "CPU", "cores": 2, "memory_gib": 24, "python": "3.11", "torch": "2.14"}


def measured(transfers: int, memory: float, **further: Any) -> dict[str, Any]:
    return {
        "transfers": transfers,
        "seconds": transfers / 10 + 4,
        "timings": {"features": transfers / 10, "metrics": 3.0},
        "rate": 10.0,
        "curve": [[transfers // 2, 5.0, memory / 2], [transfers, 10.0, memory]],
        "peak_mb": memory + 10,
        "peak_rss_mb": memory + 500,
        "opened": {},
        "crops": {},
        "cpu_seconds": transfers * 0.05,
        "load": 1.5,
        **further,
    }


def test_the_page_states_measurements_and_what_is_extrapolated(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{MARKS[0]}\nold\n{MARKS[1]}\nafter\n")
    cold = {"1000": measured(1000, 100.0, opened={"1": 900, "3": 48}, crops={"1": 3000})}
    stored = {str(count): measured(count, count / 100) for count in (1000, 11_000)}
    write_page({"machine": MACHINE, "cold": cold, "stored": stored}, page)
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith(f"{MARKS[1]}\nafter\n")
    assert "old" not in text
    assert "| 1,000 | 10.0 | 50 ms | 100.0 s | 4.0 s | 50 MB | 100 MB | 110 MB | 600 MB | 1.5 |" in text
    assert "900 files once, 48 files 3 times" in text
    assert "Extrapolated, not measured" in text
    assert (
        "100,000 transfers take 2.8 hours to extract on this machine with its load, and 1.4 hours of CPU time"
        in text
    )
    assert "each transfer adds 10.0 kB at the end of the extraction" in " ".join(text.split())
