"""The words in the name of a picture's file and in those of its folders, where people gave the name and no camera.

`2019-07 Rome/dog_on-the-beach2.jpg` gives "Rome" and "dog on the beach": one tag a name, its words in their order.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

from picfind import keys
from picfind.images import SUFFIXES, read_bytes
from picfind.types import FILE_NAME, FOLDER, TAG, Words

_MACHINE_NAME = re.compile(
    r"""
    # how programs name what they save; what follows is a date, a number or a program
      (?:screen\s?shot|screenshot|screen\s?recording|bildschirmfoto|capture\ d.?[ée]cran)\b.* | screenshot[-_].*
    | (?:whatsapp|signal|telegram|viber)[\s_-]*(?:image|video|photo)?[\s_-]*\d.*
    | (?:fb_img|received|snapchat|inshot|photo|image|img|pic|picture|scan|vid|video)[\s_-]*\d[\d\s_().-]*(?:at\ [\d.]+)?
    # the pictures of a well-known data set
    | coco_(?:[a-z]+\d{4}_)?\d{12}
    # folders that the standard for cameras (DCF) prescribes: 100APPLE, 101_PANA
    | \d{3}[a-z_]{5}
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""Whole names in which nothing was said by a person."""
_IDENTIFIER = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"  # a UUID
    r"|(?<![^\W_])(?=[a-f]*\d)[0-9a-f]{8,}(?![^\W_])",  # a hash or another long number
    re.IGNORECASE,
)
_PIECE = re.compile(r"\d+|\D+")
_CAMEL = re.compile(r"(?<=\w[a-zà-öø-ÿ])(?=[A-ZÀ-ÖØ-Þ])|(?<=[A-ZÀ-ÖØ-Þ])(?=[A-ZÀ-ÖØ-Þ][a-zà-öø-ÿ]{2})")
"""Where a word ends within `DogOnBeach` and `HTMLPage`; not in `iPhone`."""
_WITHIN_WORDS = frozenset("'’\u200c\u200d")
"""Signs that part no word: apostrophes (`grandma's`), and what joins letters or keeps them apart (Persian, Hindi)."""


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_CAMERA = _set(
    "img imgp dsc dscn dscf dscs dsci sdc pxl mvimg cimg gopr dji hpim pict kimg dcim nightsight ihdr"
)
"""What cameras and phones write before a number: no words, whatever stands beside them."""
_SAYS_NOTHING = _set("""
    image images imgs photo photos foto fotos bild bilder pic pics picture pictures scan scans scanned frame frames page
    my camera roll new folder neuer ordner untitled unnamed album albums gallery library lib media file files misc
    data dataset datasets train training val valid validation test testing dev eval sample samples example examples part batch
    upload uploads download downloads import imports imported export exports exported saved sent private public static asset
    assets input inputs output outputs original originals edited copy kopie copie final old backup backups archive tmp temp
    thumb thumbs thumbnail thumbnails crop cropped resized small large full raw jpg jpeg png heic mov mp hdr pano burst
    bracketed portrait wa vid sam gopro gp gx mg apple canon nikon sony samsung takeout google icloud dropbox onedrive whatsapp telegram
    signal instagram facebook screenshot screenshots desktop documents home user users from of at and the a
""")
"""Words that say nothing when a name has no others: `train images`, `Photos from 2019`, `IMG_1234-edited`."""


def name_words(key: str) -> Iterator[Words]:
    """A tag for the file's name and one for each folder, the innermost first, where they say something."""
    *folders, file = (_readable(part) for part in _path(keys.folded(key)).split("/"))
    yield from _said(_stem(file), FILE_NAME)
    for folder in reversed(folders):
        yield from _said(folder, FOLDER)


def _path(key: str) -> str:
    """Of a URL what stands behind its host: nobody says anything by the rest."""
    return unquote(urlsplit(keys.unescape(key)).path) if "://" in key else key


def _said(name: str, origin: str) -> Iterator[Words]:
    phrase = said_in(name)
    if phrase:
        yield Words(phrase, origin, TAG)


def said_in(name: str) -> str:
    """The words of a name, with blanks between them; "" where no person said anything in it."""
    if _MACHINE_NAME.fullmatch(name):
        return ""
    tokens = "".join(map(_kept, _IDENTIFIER.sub(" ", name))).split()
    words = [word for token in tokens for word in _pieces(token) if word.casefold() not in _CAMERA]
    says_nothing = all(word.casefold() in _SAYS_NOTHING for word in words)
    return "" if says_nothing else " ".join(words)


def _kept(sign: str) -> str:
    """Letters, the marks on them and digits; a blank for all that may part words."""
    is_kept = unicodedata.category(sign)[0] in "LMN" or sign in _WITHIN_WORDS
    return sign if is_kept else " "


def _pieces(token: str) -> list[str]:
    """The words of a token: parted at the edges of digits and where small letters meet capitals; without the digits.

    A single letter beside digits is no word, and a long token that changes often between the two is an identifier.
    """
    pieces = _PIECE.findall(token)
    letters = [piece for piece in pieces if not piece[0].isdigit()]
    if len(token) >= 8 and len(pieces) > 3 and max(map(len, letters)) < 4:
        return []
    words = [word for piece in letters for word in _CAMEL.split(piece) if len(pieces) == 1 or len(piece) > 1]
    return [word for word in (piece.strip("'’") for piece in words) if word]


def _stem(file: str) -> str:
    stem, dot, _ = file.rpartition(".")
    return stem if dot and file.lower().endswith(SUFFIXES) else file


def _readable(part: str) -> str:
    """A part of a key as text; what is no UTF-8 was mostly written in Latin-1."""
    return read_bytes(keys.raw(part)) if "%" in part else part
