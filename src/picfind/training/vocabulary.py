"""A vocabulary of one's own: byte-level BPE, fitted on the training captions (Sennrich et al. 2016, arXiv 1508.07909).

Bytes are its letters, so no text has anything unknown in it.
"""

from __future__ import annotations

from collections.abc import Iterable

from picfind.encoders._clip.words import cleaned
from picfind.encoders._onnx import plain
from picfind.training.originals import Tokenizing

PAD, END = "<pad>", "<end>"
CLEAN = "canonicalize"
"""Lower-case, without punctuation: what searches are like."""


def fit_vocabulary(captions: Iterable[str], *, size: int) -> str:
    """The content of a `tokenizer.json` whose `size` pieces are learned from captions; each text ends with `END`."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[PAD],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    made.train_from_iterator((cleaned(plain(caption), CLEAN) for caption in captions), trainer)
    made.add_special_tokens([END])  # last, so that its id is the largest: by that the tower finds it
    made.post_processor = processors.TemplateProcessing(
        single=f"$A {END}", pair=None, special_tokens=[(END, made.token_to_id(END))]
    )
    return str(made.to_str())


def tokenizing(content: str, *, length: int) -> Tokenizing:
    """How a folder of the family `clip` cuts texts with this vocabulary: padded or cut to `length` tokens."""
    return Tokenizing(content=content, pad_token=PAD, length=length, clean=CLEAN)


def count(content: str) -> int:
    """How many tokens there are."""
    from tokenizers import Tokenizer

    return int(Tokenizer.from_str(content).get_vocab_size())
