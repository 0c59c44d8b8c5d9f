"""Image sets from arrays, tensors and Pillow images in memory."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow
from PIL import ImageFile

from facebench.core.errors import InputError
from facebench.images.errors import ImageError
from facebench.images.image_set import ImageSet, Item
from facebench.images.manifest import cell_text
from facebench.images.memory import BUDGET
from facebench.images.pixels import orientation_of, to_rgb, upright
from facebench.images.sources.content import Content
from facebench.images.sources.ppm import Pixels, ppm_file

ROOT = Path("memory")
"""Path of sets in memory in the record."""
BATCH = 64
"""Number of images that a callable is asked for at a time."""
UNIT_RANGE = (0.0, 1.0)
"""Default range of the values of float images."""

Range = tuple[float, float]
Labelled = tuple[Pixels, Mapping[str, str]]


@dataclass(frozen=True)
class MemoryImage:
    """Pixels (h, w, 3) of one image."""

    pixels: Pixels

    def read(self, name: str, max_bytes: int) -> bytes:
        """Return the pixels as a PPM file."""
        if self.pixels.nbytes > max_bytes:
            raise ImageError("too_large", f"more than {max_bytes} bytes", name)
        return ppm_file(self.pixels)


def images_in_memory(
    images: Any,
    *,
    n: int | None = None,
    columns: Mapping[str, Sequence[Any]] | None = None,
    value_range: Range = UNIT_RANGE,
) -> ImageSet:
    """Return an image set of arrays, tensors or Pillow images; nothing is written to disk.

    Args:
        images: a NumPy array (n, h, w, 3); a torch tensor (n, 3, h, w); an iterable of images (h, w, 3) or (3, h, w),
            of batches, of Pillow images, or of pairs (image, columns); or a callable `f(k)` that returns k images.
            Values are uint8, or floats within `value_range`.
        n: number of images; required for a callable. An iterable that ends earlier is an error.
        columns: values of each column, one for each image.
        value_range: values of float images that stand for black and white, such as (-1, 1).

    Returns:
        A set of the kind `memory`; the names `000000.ppm`, `000001.ppm`, ... follow the order of the images.

    Raises:
        InputError: another type, shape or range, an iterable that raises or ends early, or images that do not fit in
            half of the memory of the machine.

    Example:
        >>> images_in_memory(np.zeros((2, 16, 16, 3)), columns={"identity": ["a", "b"]}).column("identity")
        ['a', 'b']
    """
    if n is not None and (not isinstance(n, int) or n < 1):
        raise InputError(f"n is {n!r}; a number of images of at least 1 is needed.")
    labelled = list(_bounded(_images_of(images, n, value_range), n))
    if not labelled:
        raise InputError("The array or iterable of images is empty. Pass at least one image.")
    labelled = with_columns(labelled, columns or {})
    return memory_set(labelled)


def memory_set(labelled: Sequence[Labelled]) -> ImageSet:
    """Return the image set of pixels and their columns."""
    return content_set([(MemoryImage(pixels), columns) for pixels, columns in labelled])


def content_set(contents: Sequence[tuple[Content, Mapping[str, str]]]) -> ImageSet:
    """Return the image set of some contents with their columns."""
    items = tuple(
        Item(ROOT, f"{i:06d}.ppm", columns, content) for i, (content, columns) in enumerate(contents)
    )
    members = {item.name: item.content for item in items if item.content is not None}
    return ImageSet(ROOT, "memory", items, members=members)


def with_columns(labelled: Sequence[Labelled], columns: Mapping[str, Sequence[Any]]) -> list[Labelled]:
    """Return the images with further columns.

    Raises:
        InputError: a column has another number of values than there are images.
    """
    for name, values in columns.items():
        if isinstance(values, str) or len(values) != len(labelled):
            given = "a text" if isinstance(values, str) else f"{len(values)} values"
            raise InputError(
                f"The column '{name}' is {given}; {len(labelled)} values are needed, one for each image."
            )
    cells = [{name: cell_text(values[i]) for name, values in columns.items()} for i in range(len(labelled))]
    return [
        (pixels, {name: cell for name, cell in {**own, **more}.items() if cell})
        for (pixels, own), more in zip(labelled, cells, strict=True)
    ]


def _images_of(images: Any, n: int | None, value_range: Range) -> Iterator[Labelled]:
    if callable(images) and not _is_array(images):
        if n is None:
            raise InputError("A function that makes images needs the number of images: n=5000.")
        images = _calls(images, n)
    elif isinstance(images, str | bytes | Mapping) or not (_is_array(images) or isinstance(images, Iterable)):
        raise InputError(
            f"Images are arrays, tensors, Pillow images or an iterable of them, not {_kind(images)}."
        )
    if _is_array(images):
        yield from ((pixels, {}) for pixels in batch_pixels(images, 0, value_range))
        return
    count = 0
    for entry in _guarded(images):
        image, columns = entry if _is_pair(entry) else (entry, {})
        for pixels in batch_pixels(image, count, value_range):
            yield pixels, {str(name): cell_text(cell) for name, cell in columns.items()}
            count += 1


def _calls(make: Callable[[int], Any], n: int) -> Iterator[Any]:
    """Yield the images of repeated calls until there are n."""
    made = 0
    while made < n:
        batch = make(min(BATCH, n - made))
        entries = list(batch) if not _is_array(batch) else [batch[i] for i in range(len(batch))]
        if not entries:
            raise InputError(f"The function returned no images after {made} of {n}.")
        yield from entries
        made += len(entries)


def _guarded(images: Iterable[Any]) -> Iterator[Any]:
    """Yield the entries of an iterable; its errors become one line."""
    iterator, count = iter(images), 0
    while True:
        try:
            entry = next(iterator)
        except StopIteration:
            return
        except InputError:
            raise
        except Exception as error:
            message = " ".join(str(error).split())[:200]
            raise InputError(
                f"The images ended with {type(error).__name__} after {count}: {message}"
            ) from error
        yield entry
        count += 1


def _bounded(images: Iterator[Labelled], n: int | None) -> Iterator[Labelled]:
    """Yield at most n images within the memory of the machine."""
    used = count = 0
    for pixels, columns in itertools.islice(images, n):
        used += pixels.nbytes
        count += 1
        if used > BUDGET.total:
            raise InputError(
                f"The first {count} images need {used / 1e9:.1f} GB; this machine allows {BUDGET.total / 1e9:.1f} GB. "
                "Write them to an archive, such as NPZ or TAR, and give its path."
            )
        yield pixels, columns
    if n is not None and count < n:
        raise InputError(f"The images ended after {count} of {n}.")


def batch_pixels(images: Any, first: int, value_range: Range) -> Iterator[Pixels]:
    """Yield the pixels (h, w, 3) of one image or of a batch.

    Args:
        images: array (n, h, w, 3) or (h, w, 3), tensor (n, 3, h, w) or (3, h, w), or Pillow image.
        first: number of the first image for error messages.
        value_range: range of float values.

    Raises:
        InputError: another type, shape or range.
    """
    if isinstance(images, Pillow.Image):
        yield _pixels_of_pillow(images, first)
        return
    if not _is_array(images):
        raise InputError(f"Image {first} is {_kind(images)}; an array, a tensor or a Pillow image is needed.")
    array = _channels_last(images, first)
    for index, image in enumerate(array):
        yield _to_uint8(image, first + index, value_range)


def _channels_last(images: Any, first: int) -> npt.NDArray[Any]:
    """Return a batch as an array (n, h, w, 3)."""
    tensor = not isinstance(images, np.ndarray)
    if tensor:
        images = images.detach().cpu()
        images = images.float() if images.is_floating_point() else images
    array = np.asarray(images)
    array = array[None] if array.ndim == 3 else array
    if array.ndim != 4 or array.shape[1 if tensor else 3] != 3:
        shape = "tensors (n, 3, h, w)" if tensor else "arrays (n, h, w, 3)"
        raise InputError(
            f"The images from {first} have the shape {tuple(images.shape)}; {shape} are needed, RGB."
        )
    if 0 in array.shape[1:]:
        raise InputError(
            f"The images from {first} have the shape {tuple(images.shape)}, which holds no pixel."
        )
    return array.transpose(0, 2, 3, 1) if tensor else array


def _to_uint8(image: npt.NDArray[Any], index: int, value_range: Range) -> Pixels:
    if image.dtype == np.uint8:
        return np.array(image, order="C")  # the caller may reuse its buffer
    low, high = value_range
    if image.dtype.kind != "f":
        raise InputError(f"Image {index} has the type {image.dtype}; uint8 or floats are needed.")
    smallest, largest = float(image.min()), float(image.max())
    if not low <= smallest <= largest <= high:
        raise InputError(
            f"Image {index} has values from {smallest:g} to {largest:g}, outside value_range=({low:g}, {high:g}). "
            "Clip the values, or give their range."
        )
    scaled = (image.astype(np.float64) - low) * (255.0 / (high - low))
    return np.ascontiguousarray(np.floor(scaled + 0.5).astype(np.uint8))


def _pixels_of_pillow(image: Pillow.Image, index: int) -> Pixels:
    try:
        opened = cast("ImageFile.ImageFile", image)
        return upright(to_rgb(opened, f"image {index}"), orientation_of(opened))
    except (ImageError, OSError, ValueError) as error:
        raise InputError(f"Image {index} cannot be converted to RGB: {error}") from error


def _is_array(images: Any) -> bool:
    # Tensors are recognised without importing torch.
    return isinstance(images, np.ndarray) or (
        hasattr(images, "detach") and hasattr(images, "is_floating_point")
    )


def _is_pair(entry: Any) -> bool:
    return isinstance(entry, tuple) and len(entry) == 2 and isinstance(entry[1], Mapping)


def _kind(value: Any) -> str:
    return f"an object of the type {type(value).__name__}"
