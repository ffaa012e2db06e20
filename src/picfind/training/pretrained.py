"""Checkpoints of transformers as originals of an export: CLIP, SigLIP, AltCLIP, Chinese-CLIP, and BERT types.

Everything is read from a local folder. No code that comes with a checkpoint is run, and pickled weights are read with
`weights_only`, which is transformers' own default since 4.50.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from picfind.errors import ModelFilesError
from picfind.training.graphs import quiet
from picfind.training.originals import Pair, Words, extra, read_object
from picfind.training.pretrained_inputs import (
    own_pixels,
    own_states,
    own_tokens,
    read_preprocess,
    read_tokenizer,
    read_tokenizing,
)

PAIRS = {
    "clip": "CLIPModel",
    "siglip": "SiglipModel",
    "altclip": "AltCLIPModel",
    "chinese_clip": "ChineseCLIPModel",
}
"""The `model_type` of checkpoints with two towers, and the class that reads them."""
_MASKED = ("altclip", "chinese_clip")
"""Those whose text tower takes an attention mask."""
_COPIED = (
    "config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "modules.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "1_Pooling/config.json",
)


def read_pair(folder: Path) -> Pair:
    """A checkpoint with two towers. Raises ModelFilesError for files that are missing or cannot be told in our layout."""
    extra("torch", "transformers", "safetensors")
    config = read_object(folder / "config.json")
    model_type = config["model_type"]
    model = _load(folder, PAIRS[model_type])
    preprocess = read_preprocess(folder)
    masked = model_type in _MASKED
    tokenizing = read_tokenizing(folder, config, masked=masked)
    both = own_tokens(folder, tokenizing)
    return Pair(
        kind=PAIRS[model_type],
        image=_image_module(model),
        text=_text_module(model, masked=masked),
        dim=_dim(model),
        preprocess=preprocess,
        tokenizing=tokenizing,
        text_inputs=("input_ids", "attention_mask") if masked else ("text",),
        pixels=own_pixels(folder, preprocess),
        tokens=both if masked else lambda texts: both(texts)[:1],
    )


def read_words(folder: Path) -> Words:
    """A BERT-type checkpoint or a folder of sentence-transformers."""
    extra("torch", "transformers", "safetensors")
    model = _load(folder, "AutoModel")
    inputs = ["input_ids", "attention_mask"]
    if getattr(model.config, "type_vocab_size", 0) > 1:
        inputs.append("token_type_ids")
    return Words(
        kind=type(model).__name__,
        model=_words_module(model),
        dim=int(model.config.hidden_size),
        inputs=tuple(inputs),
        states=own_states(folder, model),
        tokenizer=read_tokenizer(folder),
        files={name: (folder / name).read_bytes() for name in _COPIED if (folder / name).is_file()},
    )


def _load(folder: Path, name: str) -> Any:
    """The model in single precision, in evaluation. Raises ModelFilesError where a weight would be made up."""
    import transformers

    try:
        with quiet(), _no_bars():
            model, found = getattr(transformers, name).from_pretrained(
                str(folder), local_files_only=True, trust_remote_code=False, output_loading_info=True
            )
    except Exception as error:  # transformers, torch, safetensors and pickle each raise their own
        first = str(error).strip().split("\n")[0]
        raise ModelFilesError(f"The checkpoint {folder} cannot be read as {name}: {first}") from error
    absent = sorted(key for key in found["missing_keys"] if not key.startswith("pooler."))
    if absent or found["mismatched_keys"]:
        which = absent[0] if absent else next(iter(found["mismatched_keys"]))
        raise ModelFilesError(
            f"The checkpoint {folder} is not a whole {name}: its weights lack {which} or have it in another shape."
        )
    return model.float().eval()


@contextmanager
def _no_bars() -> Iterator[None]:
    """Loading draws bars on stderr, which is the person's."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _features(found: Any) -> Any:
    """`get_image_features` and its like give the rows themselves before transformers 5, and an object since."""
    return getattr(found, "pooler_output", found)


def _image_module(model: Any) -> Any:
    from torch import nn

    class Image(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, image: Any) -> Any:
            return _features(self.model.get_image_features(pixel_values=image))

    return Image().eval()


def _text_module(model: Any, *, masked: bool) -> Any:
    from torch import nn

    class Text(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, text: Any) -> Any:
            return _features(self.model.get_text_features(input_ids=text.long()))

    class MaskedText(Text):
        def forward(self, input_ids: Any, attention_mask: Any) -> Any:  # type: ignore[override]
            found = self.model.get_text_features(
                input_ids=input_ids.long(), attention_mask=attention_mask.long()
            )
            return _features(found)

    return (MaskedText() if masked else Text()).eval()


def _words_module(model: Any) -> Any:
    from torch import nn

    class Tokens(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any = None) -> Any:
            given = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
            found = self.model(input_ids=input_ids, attention_mask=attention_mask, **given)
            return found.last_hidden_state

    return Tokens().eval()


def _dim(model: Any) -> int:
    size = getattr(model.config, "projection_dim", None)
    return int(size if size is not None else model.config.text_config.projection_size)
