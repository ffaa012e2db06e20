"""Two encoders as one: `joint:IMAGE+TEXT` or `joint:IMAGE+TEXT@0.7`, or a folder that `models fit-joint` wrote.

IMAGE and TEXT are any models that picfind finds; 0.7 is the picture's share of the score, between 0 and 1, and 0.5
where nothing is said. Three towers live in one space:

    pair     [sqrt(share) * picture, sqrt(1 - share) * words]     what is searched: a picture with its words
    image    [picture, 0]                                         a query that is a picture alone
    text     [0, words]                                           a query of words alone

so that two full rows score share * cos(pictures) + (1 - share) * cos(words). The words of a picture are the mean of
their texts' unit vectors, made unit again: their order does not matter, one said twice counts once, blanks say
nothing. What a picture lacks is zeros, and its row is not stretched again: it answers with what it has (norm below
1), and cannot outdo a picture that has both. A pair with neither is refused. Only queries have length 1 over the
parts they have. Where IMAGE has a text tower of its own (`builtin`, CLIP), words alone stand in both blocks,
[sqrt(share) * IMAGE's words, sqrt(1 - share) * TEXT's words], and find pictures that have no words at all.

**A folder** of this family holds `picfind.json`, whose `about` is

    {"mode": "concat", "share": 0.5, "pca": {"image": [2048, 768]},
     "image": {"spec": "resnet50", "revision": "..."}, "text": {"spec": "bert-base-uncased", "revision": "..."}}

with `image_mean.npy` float32 (2048,) and `image_axes.npy` float32 (2048, 768): the block is then
unit((row - mean) @ axes). The same with `text` in the names reduces the words' block; a block that `pca` does not name stays
as it is. Words in the pictures' block are put on the axes without the mean. Or, for one trained space,

    {"mode": "shared", "dim": 256, "image": {...}, "text": {...}}

with `image_head.onnx` and `text_head.onnx`, each a self-contained graph of one input float32 (n, dim of the
component) and one output float32 (n, 256): the image tower is unit(image_head(picture)), the text tower
unit(text_head(words)), and there is no pair tower. `spec` names a component, `revision` is the one that the folder
was made with: a component that has changed since is refused. Arrays are read without unpickling.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np

from picfind import encoders
from picfind.encoders import _folders
from picfind.encoders._joint.recipe import (
    CONCAT,
    DEFAULT_SHARE,
    FAMILY,
    HEADS,
    Recipe,
    arrays,
    combine,
    from_folder,
    recipe_of,
)
from picfind.encoders._joint.towers import (
    Axes,
    Block,
    ImageQuery,
    PairTower,
    SharedTower,
    TextQuery,
    as_they_are,
)
from picfind.encoders._onnx import Once, open_session, unreadable
from picfind.encoders.base import Encoder, EncoderCard, Role
from picfind.errors import EncoderError, ModelFilesError, UnknownModelError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from picfind.settings import Settings
    from picfind.types import Floats

T = TypeVar("T")

_AGAIN = "Fit, train or copy the model again."


def cards(settings: Settings) -> Iterable[EncoderCard]:
    """The folders of this family in the folders of models; `joint:IMAGE+TEXT` is known by its parts alone.

    A folder that is damaged, or whose parts have gone or changed, is listed as not installed, with the reason.
    """
    return _folders.cards(
        settings,
        family=FAMILY,
        is_ours=partial(_folders.says, family=FAMILY),
        read=lambda folder, settings: from_folder(folder, settings).card(),
        towers=("image", "text", "pair"),
    )


def find(spec: str, settings: Settings) -> EncoderCard | None:
    """The card for `joint:IMAGE+TEXT`, for a folder of this family, else None.

    Raises UsageError for a spec that cannot be read, EncoderError for a component without the tower, UnknownModelError
    for one that there is not, ModelFilesError for a damaged folder or one whose components have changed.
    """
    recipe = recipe_of(spec, settings)
    return recipe.card() if recipe is not None else None


def load(
    card: EncoderCard, settings: Settings, *, role: Role = "document", language: str | None = None
) -> Encoder:
    """The encoder; role and language are those of the components. Raises as `find` and the components do."""
    recipe = recipe_of(card.name, settings)
    if recipe is None:
        raise UnknownModelError(f"The joint model {card.name} is gone. `picfind models` lists what there is.")
    image, text = (
        encoders.load(part, settings, role=role, language=language) for part in (recipe.image, recipe.text)
    )
    return assemble(recipe, image, text)


def joined(image: Encoder, text: Encoder, *, share: float = DEFAULT_SHARE) -> Encoder:
    """Two loaded encoders side by side, for encoders of one's own. Raises UsageError, EncoderError as `find` does."""
    return assemble(combine(image.card, text.card, share=share), image, text)


def assemble(recipe: Recipe, image: Encoder, text: Encoder) -> Encoder:
    """The encoder that a recipe makes of its two loaded components.

    Raises EncoderError for one without the tower, ModelFilesError for the recipe's own files.
    """
    if image.image is None or text.text is None:
        lacking, tower = (image, "image") if image.image is None else (text, "text")
        raise EncoderError(f"The model {lacking.card.name} has no {tower} tower to be joined by.")
    pictures = Block(image.image, image.card.dim, image.card.batch_size)
    words = Block(text.text, text.card.dim, text.card.batch_size)
    card = replace(recipe.card(), batch_size=image.card.batch_size)  # which depends on where it runs
    whole = partial(Encoder, card, decode_size=image.decode_size, on_accelerator=image.on_accelerator)
    if recipe.mode != CONCAT and recipe.folder is not None:
        shared = partial(_shared, folder=recipe.folder, dim=recipe.dim)
        return whole(image=shared(pictures, which="image"), text=shared(words, which="text"))
    axes = {block: _read_axes(recipe, block) for block in recipe.fitted}
    in_pictures = _words_as_picture(image, axes.get("image"))
    pictures, words = _on_axes(pictures, axes.get("image")), _on_axes(words, axes.get("text"))
    return whole(
        image=ImageQuery(pictures, words.dim),
        text=TextQuery(words, pictures.dim, share=recipe.share, words_as_picture=in_pictures),
        pair=PairTower(pictures, words, share=recipe.share),
    )


def _words_as_picture(image: Encoder, axes: Axes | None) -> Block[str] | None:
    """The words' side of the picture's encoder, where it has one."""
    if image.text is None:
        return None
    dim = image.card.dim if axes is None else axes.axes.shape[1]
    return Block(image.text, dim, image.card.batch_size, axes.of_another_kind if axes else as_they_are)


def _on_axes(block: Block[T], axes: Axes | None) -> Block[T]:
    if axes is None:
        return block
    return Block(block.tower, axes.axes.shape[1], block.batch_size, axes.of_its_kind)


def _shared(block: Block[T], *, which: Literal["image", "text"], folder: Path, dim: int) -> SharedTower[T]:
    path = folder / HEADS[which]
    return SharedTower(block, Once(lambda: open_session(path, hint=_AGAIN)), path, dim)


def _read_axes(recipe: Recipe, block: str) -> Axes:
    """The axes of a block. Raises ModelFilesError when they are damaged or have another size than is stated."""
    if recipe.folder is None:
        raise ModelFilesError(f"The model {recipe.name} has axes but no folder. {_AGAIN}")
    mean, axes = (_read_array(recipe.folder / name) for name in arrays(block))
    before, after = recipe.fitted[block]
    if mean.shape != (before,) or axes.shape != (before, after):
        raise ModelFilesError(
            f"The model {recipe.folder} states axes of {(before, after)} for its {block} block, but has {axes.shape} "
            f"and a mean of {mean.shape}. {_AGAIN}"
        )
    return Axes(mean, axes)


def _read_array(path: Path) -> Floats:
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise unreadable(path, error, _AGAIN) from error
    if not isinstance(array, np.ndarray) or array.dtype.kind != "f" or not np.isfinite(array).all():
        raise ModelFilesError(f"The model's file {path} holds no array of finite numbers. {_AGAIN}")
    return array.astype(np.float32)
