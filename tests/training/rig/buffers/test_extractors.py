"""Registry of extractors: names, lazy imports, and modules without import cycles."""

from __future__ import annotations

import subprocess
import sys

import pytest

from facebench.core.errors import InputError
from facebench.training.rig.buffers.extractors import EXTRACTORS, check_extractor, open_extractor

PACKAGE = "facebench.training.rig.buffers"


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_an_extractor_has_its_name_and_space() -> None:
    extractor = open_extractor("synthface")
    assert (extractor.name, extractor.space.name) == ("synthface", EXTRACTORS["synthface"])


def test_an_unknown_name_is_refused_with_close_names() -> None:
    with pytest.raises(InputError, match=r"'dekca' is not an extractor\. Did you mean deca"):
        check_extractor("dekca")


def test_the_registry_imports_no_extractor() -> None:
    loaded = run(
        f"import sys, {PACKAGE}.extractors\n"
        f"print([m for m in ('compact', 'flame_reading', 'synthetic') if f'{PACKAGE}.{{m}}' in sys.modules])"
    )
    assert loaded == "[]"


@pytest.mark.parametrize("module", ["compact", "flame_reading", "synthetic", "results"])
def test_extractors_do_not_import_the_registry(module: str) -> None:
    """Checked in a package whose `__init__` is empty, because the real one imports the registry."""
    code = (
        "import importlib.util, sys, types\n"
        f"spec = importlib.util.find_spec('{PACKAGE}')\n"
        f"package = types.ModuleType('{PACKAGE}')\n"
        "package.__path__ = list(spec.submodule_search_locations)\n"
        f"sys.modules['{PACKAGE}'] = package\n"
        f"import {PACKAGE}.{module}\n"
        f"print('{PACKAGE}.extractors' in sys.modules)"
    )
    assert run(code) == "False"
