"""`facebench evaluate`: from folders and options to a table and a record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from facebench.evaluation.config import EvaluationConfig
from facebench.evaluation.record_reading import load_run
from tests.cli.conftest import Command


def read_record(folder: Path) -> Any:
    return json.loads((folder / "record.json").read_text(encoding="utf-8"))


def test_evaluate_prints_a_table_and_writes_a_record(
    facebench: Command, faces: Path, other_faces: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    done = facebench(
        "evaluate", faces, "--reference", other_faces, "--metrics", "fd_lite0,face_found", "--out", out
    )
    assert done.returncode == 0, done.stderr
    assert "fd_lite0" in done.stdout
    assert "60 / 60" in done.stdout
    assert read_record(out)["metrics"]["face_found"]["value"] == 1.0
    assert (out / "per_image.parquet").is_file()


def test_strict_ends_with_2_and_the_command_that_repairs_the_sets_and_writes_no_record(
    facebench: Command, faces: Path, tmp_path: Path
) -> None:
    """Faces of the same renderer, once more with a wide margin."""
    (tmp_path / "wide").mkdir()
    for number, path in enumerate(sorted(faces.rglob("*.png"))[:8]):
        image = Image.open(path)
        wide = Image.new("RGB", (image.width * 2, image.height * 2))
        wide.paste(image, (image.width // 2, image.height // 2))
        wide.resize(image.size, Image.Resampling.LANCZOS).save(tmp_path / "wide" / f"{number}.png")
    words = ["--reference", tmp_path / "wide", "--metrics", "fd_lite0", "--strict", "--out", tmp_path / "run"]
    done = facebench("evaluate", faces, *words)
    assert done.returncode == 2
    assert "--strict: the image sets differ" in done.stderr
    assert f"facebench align {faces} NEW" in done.stderr.replace("\n", " ")
    assert not (tmp_path / "run").exists()


def test_strict_accepts_sets_of_one_kind(
    facebench: Command, faces: Path, other_faces: Path, tmp_path: Path
) -> None:
    words = ["--reference", other_faces, "--metrics", "fd_lite0", "--strict", "--out", tmp_path / "run"]
    done = facebench("evaluate", faces, *words)
    assert done.returncode == 0, done.stderr
    assert read_record(tmp_path / "run")["config"]["strict"]


def test_json_is_only_the_record(facebench: Command, faces: Path, tmp_path: Path) -> None:
    done = facebench("evaluate", faces, "--metrics", "vendi_lite0", "--json", "--out", tmp_path / "run")
    assert json.loads(done.stdout) == read_record(tmp_path / "run")


def test_each_evaluation_gets_its_own_folder_in_runs_by_default(
    facebench: Command, faces: Path, tmp_path: Path
) -> None:
    for _ in range(2):
        done = facebench("evaluate", faces, "--metrics", "face_found", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    folder = tmp_path / "runs" / "faces-quality"
    runs = [run.parent for run in folder.glob("*/record.json")]
    assert len(runs) == 2
    assert load_run(folder).folder == max(runs)
    board = facebench("leaderboard", tmp_path / "runs", "--format", "csv").stdout
    assert len(board.splitlines()) == 3


def test_only_the_record_of_the_same_evaluation_is_replaced(
    facebench: Command, faces: Path, other_faces: Path, tmp_path: Path
) -> None:
    words = ["--metrics", "face_found", "--out", tmp_path / "run"]
    assert facebench("evaluate", faces, *words).returncode == 0
    assert facebench("evaluate", faces, *words).returncode == 0
    before = (tmp_path / "run" / "record.json").read_bytes()
    for different in ([other_faces], [other_faces, "--name", "faces"], [faces, "--name", "x"]):
        done = facebench("evaluate", *different, *words)
        assert done.returncode == 2
        assert "holds the record of another evaluation: faces, protocol quality" in done.stderr
        assert "--overwrite" in done.stderr
    assert (tmp_path / "run" / "record.json").read_bytes() == before
    assert facebench("evaluate", other_faces, *words, "--overwrite").returncode == 0
    assert load_run(tmp_path / "run").name == other_faces.name


def test_another_manifest_of_the_same_images_is_the_same_evaluation(
    facebench: Command, faces: Path, tmp_path: Path
) -> None:
    images, names = tmp_path / "images", [f"{number}.png" for number in range(6)]
    images.mkdir()
    for name, file in zip(names, sorted(faces.rglob("*.png")), strict=False):
        (images / name).write_bytes(file.read_bytes())
    for manifest, listed, code in (("a.csv", names, 0), ("b.csv", names, 0), ("c.csv", names[:5], 2)):
        (images / manifest).write_text("\n".join(["image", *listed]))
        words = ["--metrics", "face_found", "--out", tmp_path / "run"]
        assert facebench("evaluate", images / manifest, *words).returncode == code, manifest


@pytest.mark.parametrize("inside", ["", "runs/x"])
def test_no_record_is_written_into_a_folder_of_images(facebench: Command, faces: Path, inside: str) -> None:
    before = sorted(faces.rglob("*"))
    done = facebench("evaluate", faces, "--metrics", "face_found", "--out", faces / inside)
    assert done.returncode == 2
    assert "Choose another --out" in done.stderr
    assert sorted(faces.rglob("*")) == before


def test_auto_names_its_suite_and_the_command_for_the_other(
    facebench: Command, faces: Path, tmp_path: Path
) -> None:
    done = facebench("evaluate", faces, "--protocol", "edit", "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    text = " ".join(done.stdout.split())
    assert "suite compact" in text
    assert "facebench weights fetch --suite paper" in text


def test_an_absent_device_is_named(facebench: Command, faces: Path, tmp_path: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    done = facebench("evaluate", faces, "--metrics", "vendi_lite0", "--device", "cuda", "--out", tmp_path)
    assert done.returncode == 2
    assert "cuda" in done.stderr
    assert "Traceback" not in done.stderr


def test_options_replace_those_of_the_configuration_file(
    facebench: Command, faces: Path, tmp_path: Path
) -> None:
    content = {
        "generated": str(faces),
        "metrics": ["vendi_lite0"],
        "suite": "compact",
        "name": "from-file",
        "tags": {"base": "A"},
    }
    (tmp_path / "evaluation.yaml").write_text(yaml.safe_dump(content))
    options = ["--config", tmp_path / "evaluation.yaml", "--out", tmp_path / "run"]
    done = facebench("evaluate", *options, "--name", "from-options", "--tag", "base=B")
    assert done.returncode == 0, done.stderr
    config = read_record(tmp_path / "run")["config"]
    assert config["name"] == "from-options"
    assert config["tags"] == {"base": "B"}
    assert config["suite"] == "compact"
    assert config["metrics"] == ["vendi_lite0"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("generated: faces\nsuit: compact", "'suit' is not an option. Did you mean suite or unit?"),
        ("suite: compact", "'generated' is missing"),
        ("[1, 2]", "expected a mapping"),
    ],
)
def test_a_wrong_configuration_file_is_named(
    facebench: Command, tmp_path: Path, content: str, message: str
) -> None:
    file = tmp_path / "evaluation.yaml"
    file.write_text(content)
    done = facebench("evaluate", "--config", file)
    assert done.returncode == 2
    assert str(file) in done.stderr
    assert message in done.stderr


def test_named_references_and_tags_reach_the_record(
    facebench: Command, faces: Path, other_faces: Path, tmp_path: Path
) -> None:
    references = ["--reference", f"one={other_faces}", "--reference", f"two={faces}"]
    tags = ["--tag", "base=SD-2.1", "--tag", "prompt=Complex"]
    done = facebench(
        "evaluate", faces, *references, *tags, "--metrics", "fd_lite0", "--out", tmp_path / "run"
    )
    assert done.returncode == 0, done.stderr
    record = read_record(tmp_path / "run")
    assert set(record["metrics"]) == {"fd_lite0@one", "fd_lite0@two"}
    assert record["tags"] == {"base": "SD-2.1", "prompt": "Complex"}


def test_help_shows_the_descriptions_of_the_configuration(
    facebench: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    text = " ".join(facebench("evaluate", "--help").stdout.split())
    for field in EvaluationConfig.model_fields.values():
        assert field.description in text
