"""Section of docs/performance.md about many networks, written from the measurements of many_networks.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

MARKS = ("<!-- many networks -->", "<!-- end of many networks -->")
TOTAL = 100_000
"""Transfers that the measurements are extrapolated to."""


def write_page(results: dict[str, Any], page: Path) -> None:
    """Replace the text between the marks of a page."""
    before, _, rest = page.read_text(encoding="utf-8").partition(MARKS[0])
    after = rest.partition(MARKS[1])[2]
    lines = _machine(results["machine"])
    lines += _cold(results["cold"]) if "cold" in results else []
    lines += _stored(results["stored"]) if "stored" in results else []
    page.write_text("\n".join([before + MARKS[0], *lines, MARKS[1] + after]), encoding="utf-8")


def _machine(described: dict[str, Any]) -> list[str]:
    return [
        f"{described['processor']}, {described['cores']} cores, {described['memory_gib']} GiB, Python "
        f"{described['python']}, torch {described['torch']}. Memory is anonymous memory in addition to that after the "
        "imports; resident memory is that of the whole process, with libraries and mapped files. One thread, on a "
        "machine that other programs shared: load is the number of running processes, and seconds are too long by it.",
        "",
    ]


def _cold(cold: dict[str, dict[str, Any]]) -> list[str]:
    lines = [
        "Nothing stored: every image is decoded, its face detected, cropped and read by five networks.",
        "",
        "| transfers | transfers/s | CPU time of a transfer | extraction | metrics, intervals, record | memory at "
        "half | at the end of the transfers | peak | resident memory, peak | load |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for each in cold.values():
        half, end = (_memory_at(each, share) for share in (0.5, 1.0))
        lines.append(
            f"| {each['transfers']:,} | {each['rate']:.1f} | {_cpu(each)} | {_time(each['timings']['features'])} | "
            f"{_time(_after(each))} | {half:.0f} MB | {end:.0f} MB | {each['peak_mb']:.0f} MB | "
            f"{each['peak_rss_mb']:.0f} MB | {each['load']:g} |"
        )
    largest = max(cold.values(), key=lambda each: each["transfers"])
    lines += ["", *_counts(cold)]
    if largest["transfers"] < TOTAL:
        hours = sorted(TOTAL / each["rate"] / 3600 for each in cold.values())
        shown = f"{hours[0]:.1f}" if len(hours) == 1 else f"{hours[0]:.1f} to {hours[-1]:.1f}"
        text = (
            f"Extrapolated, not measured: at these rates, {TOTAL:,} transfers take {shown} hours to extract on this "
            "machine with its load"
        )
        timed = [each for each in cold.values() if each.get("cpu_seconds")]
        if timed:
            each = max(timed, key=lambda one: one["transfers"])
            alone = TOTAL * each["cpu_seconds"] / each["transfers"] / 3600
            text += f", and {alone:.1f} hours of CPU time of one thread"
        lines += ["", f"{text}."]
    return lines


def _cpu(each: dict[str, Any]) -> str:
    """Return the CPU time of one transfer, which other processes change less than the rate."""
    seconds = each.get("cpu_seconds", 0.0)
    return f"{1000 * seconds / each['transfers']:.0f} ms" if seconds else "–"


def _counts(cold: dict[str, dict[str, Any]]) -> list[str]:
    counted = [each for each in cold.values() if each["opened"]]
    if not counted:
        return []
    each = max(counted, key=lambda one: one["transfers"])
    files = ", ".join(f"{number:,} files {_times(count)}" for count, number in sorted(each["opened"].items()))
    crops = ", ".join(f"{number:,} {_times(count)}" for count, number in sorted(each["crops"].items()))
    return [
        f"With {each['transfers']:,} transfers, files were opened this often: {files}. More than once are fixed "
        "samples: 48 images of each set for its properties, and 500 images that are re-encoded as JPEG for the noise "
        f"of the metrics. Pairs of image and crop were cut this often: {crops}.",
    ]


def _times(count: str) -> str:
    return {"1": "once", "2": "twice"}.get(count, f"{count} times")


def _stored(stored: dict[str, dict[str, Any]]) -> list[str]:
    lines = [
        "",
        "All results stored (random values, written through the store): no network runs. This measures what grows with "
        "the number of transfers.",
        "",
        "| transfers | reading of files and results | metrics, intervals, record | memory, peak | resident memory, "
        "peak | load |",
        "|---:|---:|---:|---:|---:|---:|",
    ]
    for each in stored.values():
        lines.append(
            f"| {each['transfers']:,} | {_time(each['timings']['features'])} | {_time(_after(each))} | "
            f"{each['peak_mb']:.0f} MB | {each['peak_rss_mb']:.0f} MB | {each['load']:g} |"
        )
    ordered = sorted(stored.values(), key=lambda each: each["transfers"])
    if len(ordered) > 1:
        few, many = ordered[0], ordered[-1]
        added = many["transfers"] - few["transfers"]
        table = 1e6 * (_memory_at(many, 1.0) - _memory_at(few, 1.0)) / added
        peak = 1e6 * (many["peak_mb"] - few["peak_mb"]) / added
        lines += [
            "",
            f"From {few['transfers']:,} to {many['transfers']:,} transfers, each transfer adds {table / 1000:.1f} kB "
            f"at the end of the extraction and {peak / 1000:.1f} kB at the peak. The rows of all arrays take "
            f"{ROW_BYTES / 1000:.1f} kB of it; the rest is names, digests, faces and the table of images.",
        ]
    return lines


ROW_BYTES = 4 * (128 + 1 + (52 + 30 + 3 + 8 + 2) + (7 + 7 + 2) + 2 + 2)
"""Bytes of the arrays of one image: SFace, FaceReader, face-api and two networks with valence and arousal."""


def _memory_at(each: dict[str, Any], share: float) -> float:
    reached = [memory for done, _, memory in each["curve"] if done >= share * each["transfers"]]
    return float(reached[0] if reached else each["curve"][-1][2])


def _after(each: dict[str, Any]) -> float:
    return float(each["seconds"] - each["timings"]["features"])


def _time(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.1f} min"
