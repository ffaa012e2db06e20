from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer

from picfind.encoders import load
from picfind.encoders._clip import words as clip_words
from picfind.encoders.base import Encoder
from picfind.errors import ModelFilesError, UsageError
from picfind.settings import Settings
from tests.clip_folders import CONTEXT, Variant, framed, make_folder, nllb_tokenizer


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(models=(tmp_path / "models",))


@pytest.fixture
def place(settings: Settings) -> Path:
    return settings.models[-1]


def ids(encoder: Encoder, text: str) -> list[int]:
    assert encoder.text is not None
    return [int(one) for one in encoder.text.prepare(text)[0]]


def tokens_of(folder: Path) -> Tokenizer:
    return Tokenizer.from_file(str(folder / "textual" / "tokenizer.json"))


def rewrite(path: Path, **fields: Any) -> None:
    found = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**found, **fields}), encoding="utf-8")


def test_the_default_context_is_77(place: Path, settings: Settings) -> None:
    folder = make_folder(place / "tiny", Variant(config={"context_length": 77}))
    rewrite(folder / "config.json", text_cfg={})
    assert len(ids(load("tiny", settings), "a dog")) == 77


@pytest.mark.parametrize("kind", ["bpe", "unigram", "roberta", "nllb"])
def test_truncation_keeps_the_tokens_at_both_ends(kind: str, place: Path, settings: Settings) -> None:
    folder = make_folder(place / "tiny", Variant(kind))
    frame = tokens_of(folder).encode("").ids
    long = ids(load("tiny", settings), "a dog on a beach " * 20)
    assert len(long) == CONTEXT
    assert long[-1] == frame[-1]
    assert long[: len(frame) - 1] == frame[:-1]


def test_padding_and_its_mask(place: Path, settings: Settings) -> None:
    folder = make_folder(place / "tiny", Variant("roberta", tokens={"pad_token": {"content": "<pad>"}}))
    text = load("tiny", settings).text
    assert text is not None
    both = text.prepare("red")
    count = int(both[1].sum())
    assert both.dtype == np.int32 and 0 < count < CONTEXT
    assert both[1].tolist() == [1] * count + [0] * (CONTEXT - count)
    assert (both[0, count:] == tokens_of(folder).token_to_id("<pad>")).all()


def test_padding_on_the_left(place: Path, settings: Settings) -> None:
    make_folder(place / "tiny", Variant("roberta", tokens={"padding_side": "left"}))
    text = load("tiny", settings).text
    assert text is not None and text.prepare("red")[1].tolist() == sorted(text.prepare("red")[1])


def test_a_pad_token_that_the_tokenizer_lacks(place: Path, settings: Settings) -> None:
    make_folder(place / "tiny", Variant(tokens={"pad_token": "<nothing>"}))
    with pytest.raises(ModelFilesError, match="does not know the token '<nothing>'"):
        load("tiny", settings).encode_texts(["a"])


def test_a_separator_can_be_blanked(place: Path, settings: Settings) -> None:
    choices = {"tokenizer_kwargs": {"strip_sep_token": True}}
    folder = make_folder(place / "tiny", Variant("roberta", config=choices, tokens={"sep_token": "</s>"}))
    end = tokens_of(folder).token_to_id("</s>")
    assert end not in ids(load("tiny", settings), "red")


@pytest.mark.parametrize(
    ("text", "clean", "wanted"),
    [
        ("A  Dog,\n on_a Beach!", "canonicalize", "a dog on a beach"),
        ("A  Dog,\n on_a Beach!", "lower", "a dog, on_a beach!"),
        ("A  Dog,\n on_a Beach!", "whitespace", "A Dog, on_a Beach!"),
        ("cats &amp;amp; dogs", "whitespace", "cats & dogs"),
        ("It's (2) “quotes”", "canonicalize", "its 2 “quotes”"),
        ("", "canonicalize", ""),
    ],
)
def test_cleaning(text: str, clean: str, wanted: str) -> None:
    assert clip_words.cleaned(text, clean) == wanted


def test_canonical_text_is_what_is_encoded(place: Path, settings: Settings) -> None:
    make_folder(place / "plain", Variant("unigram"))
    make_folder(place / "clean", Variant("unigram", config={"tokenizer_kwargs": {"clean": "canonicalize"}}))
    clean = load("clean", settings).encode_texts(["A dog, on a beach!", "a dog on a beach"])
    plain = load("plain", settings).encode_texts(["A dog, on a beach!", "a dog on a beach"])
    assert np.array_equal(clean[0], clean[1])
    assert not np.allclose(plain[0], plain[1])


@pytest.mark.parametrize(
    ("language", "token"),
    [
        (None, "eng_Latn"),
        ("en", "eng_Latn"),
        ("de", "deu_Latn"),
        ("deu", "deu_Latn"),
        ("de-AT", "deu_Latn"),
        ("deu_Latn", "deu_Latn"),
        ("zh", "zho_Hans"),
        ("zh-Hant", "zho_Hant"),
        ("zh_TW", "zho_Hant"),
    ],
)
def test_a_language_stands_before_the_text(
    language: str | None, token: str, place: Path, settings: Settings
) -> None:
    folder = make_folder(place / "tiny", Variant("nllb"))
    found = ids(load("tiny", settings, language=language), "red")
    tokenizer = tokens_of(folder)
    assert found[0] == tokenizer.token_to_id(token)
    assert found[1:] == ids(load("tiny", settings), "red")[1:]


@pytest.mark.parametrize("frame", [["$A", "</s>"], ["$A", "</s>", "eng_Latn"]])
def test_a_language_where_the_tokenizer_was_saved_otherwise(frame: list[str], place: Path) -> None:
    tokenizer = framed(nllb_tokenizer()[0], *frame)
    clip_words.set_language(tokenizer, "fr")
    wanted = ["fra_Latn" if token == "eng_Latn" else token for token in frame]
    wanted = wanted if "fra_Latn" in wanted else ["fra_Latn", *wanted]
    found = tokenizer.encode("red").tokens
    assert [found[0], found[-1]] == ["fra_Latn", "</s>"] or found[-1] == wanted[-1] == "fra_Latn"
    assert found.count("fra_Latn") == 1 and "eng_Latn" not in found


def test_a_language_that_is_not_there_names_some_that_are(place: Path, settings: Settings) -> None:
    make_folder(place / "tiny", Variant("nllb"))
    with pytest.raises(UsageError, match=r"no language .tlh.*deu_Latn"):
        load("tiny", settings, language="tlh")
    with pytest.raises(UsageError, match="zho_Hans, zho_Hant"):
        load("tiny", settings, language="zho")


def test_a_language_makes_no_difference_without_tokens_for_it(place: Path, settings: Settings) -> None:
    make_folder(place / "tiny")
    assert ids(load("tiny", settings, language="de"), "red") == ids(load("tiny", settings), "red")
