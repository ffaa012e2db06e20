"""What is loaded when: a person waits for every import."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

HEAVY = (
    "numpy",
    "PIL",
    "onnxruntime",
    "tokenizers",
    "faiss",
    "pi_heif",
    "rich",
    "huggingface_hub",
    "typer",
    "sqlite3",
)


def loaded(code: str) -> set[str]:
    """The modules that a fresh process has after running some code."""
    script = f"import sys\n{code}\nprint(' '.join(sys.modules))"
    bare = {
        name: value for name, value in os.environ.items() if not name.startswith("COV")
    }  # it loads much itself
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=bare
    )
    return set(done.stdout.split())


def test_importing_picfind_loads_nothing_heavy() -> None:
    assert not loaded("import picfind") & set(HEAVY)


def test_the_command_line_loads_no_model_library() -> None:
    found = loaded("import picfind.cli.main")
    assert not found & {
        "onnxruntime",
        "tokenizers",
        "faiss",
        "pi_heif",
        "rich.progress",
        "huggingface_hub",
        "pathspec",
    }


def test_listing_models_loads_no_model_library() -> None:
    code = "from picfind import encoders, settings; encoders.cards(settings.Settings()); encoders.load('builtin', settings.Settings())"
    assert not loaded(code) & {"onnxruntime", "tokenizers"}


@pytest.mark.parametrize("extra", ["torch", "transformers", "skimage", "sklearn", "matplotlib"])
def test_a_search_with_words_needs_no_extra(extra: str) -> None:
    code = "import picfind; picfind.load_encoder().encode_texts(['a cat'])"
    assert extra not in loaded(code)
