"""Run the ID-Booth study in small: three rendered people, two tiny base models, all losses, all tables.

python tools/study_id_booth_demo.py FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]


def main() -> None:
    """Prepare the inputs once, then run or continue the study."""
    sys.path.insert(0, str(REPOSITORY))
    from tests.helpers.id_booth_study import command, prepare

    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "study-id-booth-demo").absolute()
    if not (folder / "inputs" / "study.yaml").is_file():
        prepare(folder / "inputs")
    sys.argv = ["facebench", *command(folder / "inputs", folder / "run")]
    from facebench.cli import main as run

    run()


if __name__ == "__main__":
    main()
