"""Run studies/diffusionrig-emo-demo.yaml: the whole study in small, with generated weights, in a folder of its own.

python tools/study_demo.py FOLDER
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
STUDY = REPOSITORY / "studies" / "diffusionrig-emo-demo.yaml"


def import_generated_weights(folder: Path) -> None:
    """Import DECA and EMOCA with generated weights, and a head with the structure of FLAME, into the current cache."""
    sys.path.insert(0, str(REPOSITORY))
    from tests.helpers import flame_like
    from tests.helpers.paper_weights import facebench, put_in_place

    folder.mkdir(parents=True, exist_ok=True)
    put_in_place(("deca", "emoca"), folder)
    model = flame_like.save(folder / "generic_model.pkl", flame_like.arrays())
    texture = flame_like.texture(folder / "FLAME_texture.npz")
    for name, file in (("flame", model), ("flame-texture", texture)):
        done = facebench("weights", "import", name, file)
        if done.code:
            raise SystemExit(done.text)
        file.unlink()


def main() -> None:
    """Import the weights once, then run or continue the study."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "study-demo").absolute()
    os.environ["FACEBENCH_CACHE"] = str(folder / "cache")
    if not (folder / "weights" / "imported").is_file():
        import_generated_weights(folder / "weights")
        (folder / "weights" / "imported").touch()
    sys.argv = ["facebench", "grid", str(STUDY), "--out", str(folder / "run")]
    from facebench.cli import main as run

    run()


if __name__ == "__main__":
    main()
