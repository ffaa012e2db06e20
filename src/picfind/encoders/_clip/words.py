"""Words to token ids as open_clip makes them, out of a folder's `tokenizer.json` and its settings."""

from __future__ import annotations

import html
import re
import string
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from picfind.encoders._clip.graph import HINT
from picfind.encoders._folders import read_json
from picfind.encoders._onnx import open_tokenizer, plain
from picfind.errors import ModelFilesError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from tokenizers import Encoding, Tokenizer

CONTEXT_LENGTH = 77
_CLEANINGS = ("whitespace", "lower", "canonicalize")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_LANGUAGE = re.compile("[a-z]{3}_[A-Z][a-z]{3}")
"""How FLORES-200, and so NLLB's tokenizer, writes a language: three letters of ISO 639-3 and four of ISO 15924."""
_ENGLISH = "eng_Latn"
_FLORES_TABLE = """
    af=afr_Latn am=amh_Ethi ar=arb_Arab az=azj_Latn be=bel_Cyrl bg=bul_Cyrl bn=ben_Beng bs=bos_Latn
    ca=cat_Latn cs=ces_Latn cy=cym_Latn da=dan_Latn de=deu_Latn el=ell_Grek en=eng_Latn eo=epo_Latn
    es=spa_Latn et=est_Latn eu=eus_Latn fa=pes_Arab fi=fin_Latn fr=fra_Latn ga=gle_Latn gl=glg_Latn
    gu=guj_Gujr he=heb_Hebr hi=hin_Deva hr=hrv_Latn hu=hun_Latn hy=hye_Armn id=ind_Latn is=isl_Latn
    it=ita_Latn ja=jpn_Jpan ka=kat_Geor kk=kaz_Cyrl km=khm_Khmr kn=kan_Knda ko=kor_Hang lo=lao_Laoo
    lt=lit_Latn lv=lvs_Latn mk=mkd_Cyrl ml=mal_Mlym mn=khk_Cyrl mr=mar_Deva ms=zsm_Latn mt=mlt_Latn
    my=mya_Mymr nb=nob_Latn ne=npi_Deva nl=nld_Latn nn=nno_Latn no=nob_Latn pa=pan_Guru pl=pol_Latn
    pt=por_Latn ro=ron_Latn ru=rus_Cyrl si=sin_Sinh sk=slk_Latn sl=slv_Latn sq=als_Latn sr=srp_Cyrl
    sv=swe_Latn sw=swh_Latn ta=tam_Taml te=tel_Telu tg=tgk_Cyrl th=tha_Thai tl=tgl_Latn tr=tur_Latn
    uk=ukr_Cyrl ur=urd_Arab uz=uzn_Latn vi=vie_Latn xh=xho_Latn yi=ydd_Hebr zh=zho_Hans zu=zul_Latn
    zh-hans=zho_Hans zh-hant=zho_Hant zh-tw=zho_Hant zh-hk=yue_Hant
"""
_FLORES: dict[str, str] = dict(entry.split("=") for entry in _FLORES_TABLE.split())
"""Two-letter codes as people write them, and what FLORES-200 calls the language."""


@dataclass(frozen=True, slots=True)
class WordSettings:
    """What a folder's JSON files say of its words."""

    context_length: int
    clean: str
    pad_token: str
    pad_left: bool = False
    truncate_left: bool = False
    blank_token: str | None = None
    """A token that is written as 0: `strip_sep_token` of open_clip's BERT tokenizers."""

    def describe(self) -> str:
        """Every choice in words, for the revision."""
        sides = ("left" if self.pad_left else "right", "left" if self.truncate_left else "right")
        return (
            f"{self.clean} text, {self.context_length} tokens, padded with {self.pad_token!r} on the {sides[0]}, "
            f"truncated on the {sides[1]}, {self.blank_token!r} blanked"
        )


def read_settings(folder: Path) -> WordSettings:
    """The settings of a folder's words. Raises ModelFilesError for what cannot be read or is not known."""
    path = folder / "config.json"
    text = read_json(path).get("text_cfg")
    text = text if isinstance(text, dict) else {}
    choices = text.get("tokenizer_kwargs")
    choices = choices if isinstance(choices, dict) else {}
    tokens = read_json(folder / "textual" / "tokenizer_config.json")
    clean = choices.get("clean") or "whitespace"
    if clean not in _CLEANINGS:
        raise ModelFilesError(
            f"{path}: text is to be cleaned by {clean!r}; known are {', '.join(_CLEANINGS)}. {HINT}"
        )
    length = text.get("context_length", CONTEXT_LENGTH)
    if not isinstance(length, int) or length < 1:
        raise ModelFilesError(f"{path}: context_length is {length!r}, a whole number is wanted. {HINT}")
    return WordSettings(
        context_length=length,
        clean=clean,
        pad_token=_token(tokens, "pad_token", folder),
        pad_left=tokens.get("padding_side") == "left",
        truncate_left=tokens.get("truncation_side") == "left",
        blank_token=_token(tokens, "sep_token", folder) if choices.get("strip_sep_token") else None,
    )


def _token(tokens: dict[str, Any], name: str, folder: Path) -> str:
    """A token of `tokenizer_config.json`, which may stand there as text or with its properties."""
    found = tokens.get(name)
    found = found.get("content") if isinstance(found, dict) else found
    if not isinstance(found, str):
        raise ModelFilesError(f"{folder / 'textual' / 'tokenizer_config.json'} names no {name}. {HINT}")
    return found


class Words:
    """Texts to ids and attention masks, both (context_length,) int32 in one array (2, context_length)."""

    def __init__(self, folder: Path, *, language: str | None) -> None:
        self._settings = read_settings(folder)
        self._tokenizer = open_tokenizer(folder / "textual" / "tokenizer.json", hint=HINT)
        set_language(self._tokenizer, language)
        self._blank = self._id(self._settings.blank_token) if self._settings.blank_token else None
        self._tokenizer.enable_padding(
            length=self._settings.context_length,
            pad_token=self._settings.pad_token,
            pad_id=self._id(self._settings.pad_token),
            direction="left" if self._settings.pad_left else "right",
        )
        self._tokenizer.enable_truncation(
            max_length=self._settings.context_length,
            direction="left" if self._settings.truncate_left else "right",
        )

    def __call__(self, text: str) -> NDArray[np.int32]:
        """The ids and the mask of one text: a long one is cut, and keeps the tokens that begin and end it."""
        found: Encoding = self._tokenizer.encode(cleaned(plain(text), self._settings.clean))
        both = np.array([found.ids, found.attention_mask], np.int32)
        if self._blank is not None:
            both[0][both[0] == self._blank] = 0
        return both

    def _id(self, token: str) -> int:
        found = self._tokenizer.token_to_id(token)
        if found is None:
            raise ModelFilesError(
                f"tokenizer.json does not know the token {token!r} of tokenizer_config.json. {HINT}"
            )
        return found


def cleaned(text: str, clean: str) -> str:
    """A text as open_clip cleans it before it is cut into tokens; only `ftfy`, which mends encodings, is left out.

    `whitespace` makes every stretch of white space one space, `lower` also lower-cases, `canonicalize` also takes
    ASCII punctuation away, as big_vision does for SigLIP.
    """
    text = html.unescape(html.unescape(text))
    if clean == "canonicalize":
        text = text.replace("_", " ").translate(_PUNCTUATION)
    if clean != "whitespace":
        text = text.lower()
    return " ".join(text.split())


def set_language(tokenizer: Tokenizer, language: str | None) -> None:
    """Let every text begin with the token of its language, as NLLB's tokenizer in transformers does.

    Of a tokenizer that has no such tokens the language makes no difference. Without a language the tokenizer keeps
    the one that it was saved with; if it was saved with none, texts are taken as English. Raises UsageError for a
    language that it does not have.
    """
    known = languages(tokenizer)
    if not known:
        return
    before, after = _frame(tokenizer)
    stands = [token for token in (*before, *after) if token in known]
    if language is None and stands:
        return
    code = _code(language or _ENGLISH, known)
    if stands:
        before = [code if token in known else token for token in before]
        after = [code if token in known else token for token in after]
    else:
        before = [code, *before]
    _set_frame(tokenizer, before, after)


def languages(tokenizer: Tokenizer) -> list[str]:
    """The languages that a tokenizer has special tokens for, sorted; most have none."""
    tokens = (entry.content for entry in tokenizer.get_added_tokens_decoder().values())
    return sorted(token for token in tokens if _LANGUAGE.fullmatch(token))


def _code(language: str, known: list[str]) -> str:
    """What the tokenizer calls a language: `deu_Latn`, `de`, `deu`, `zh-Hant` and `pt-BR` are understood."""
    if language in known:
        return language
    plain_code = language.lower().replace("_", "-")
    for code in (_FLORES.get(plain_code), _FLORES.get(plain_code.split("-")[0])):
        if code in known:
            return str(code)
    same = [code for code in known if code.split("_")[0] == plain_code]
    if len(same) == 1:
        return same[0]
    some = same or [code for code in known if code in _FLORES.values()][:8] or known[:8]
    raise UsageError(
        f"The model has no language {language!r}. It has {len(known)}, among them {', '.join(some)}; two-letter codes "
        "such as `de` do as well."
    )


def _frame(tokenizer: Tokenizer) -> tuple[list[str], list[str]]:
    """The special tokens that the tokenizer puts before and after a text."""
    tokenizer.no_padding()
    tokenizer.no_truncation()
    found = tokenizer.encode("a")
    content = [at for at, special in enumerate(found.special_tokens_mask) if not special]
    first, last = (content[0], content[-1] + 1) if content else (len(found.tokens), len(found.tokens))
    return found.tokens[:first], found.tokens[last:]


def _set_frame(tokenizer: Tokenizer, before: list[str], after: list[str]) -> None:
    from tokenizers import processors

    special = [(token, tokenizer.token_to_id(token)) for token in {*before, *after}]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=[*before, "$A", *after], pair=None, special_tokens=special
    )
