"""Check that a protocol about people gets people, and name the folder that would have worked."""

from __future__ import annotations

from facebench.core.errors import InputError
from facebench.evaluation.cards import find_card
from facebench.evaluation.protocols import Protocol
from facebench.images.image_set import ImageSet
from facebench.images.people_folders import folder_of_people


def check_people(protocol: Protocol, images: ImageSet) -> None:
    """Check that the images have identities if the main metric of the protocol compares people.

    A set of one person is refused only if another folder nearby holds several people.

    Raises:
        InputError: the images have no identities; names the folder of several people above or below, if any.
    """
    if not any("identities" in find_card(metric).needs for metric in protocol.primary.values()):
        return
    people = len({name for name in images.column("identity") if name})
    other = None if people > 1 else folder_of_people(images.root)
    if people > 1 or (people == 1 and other is None):
        return
    remedy = (
        f"Evaluate {other}, which has one folder for each person."
        if other is not None
        else "Put the images of each person into their own folder, or add a manifest with the column 'identity'."
    )
    raise InputError(
        f"The protocol {protocol.id} compares people, and {images.root} has {people or 'no'} identities. {remedy}"
    )
