"""Small models with random weights, written as their publishers write the large ones, tokenizers included."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from tokenizers.models import BPE, Unigram

WIDTH, DIM, SIDE = 32, 24, 32
"""Of the towers: width, numbers in a vector, and side of a picture in pixels."""
LANGUAGES = ("deu_Latn", "eng_Latn", "fra_Latn", "zho_Hans")
CORPUS = (
    "a dog on a beach",
    "two white cups on a green table",
    "the old town at night, seen from a bridge over the river",
    "people waiting for a train; it's late!",
    "ein Haus am See mit zwei Bäumen",
    "une vieille voiture rouge dans la forêt",
    "家和树 在海边的狗",
    "0123456789 and 42 things, isn't it?",
)
TEXTS = (
    "a dog on a beach",
    "A Dog, on a BEACH!",
    "",
    "   two\twhite \n cups  ",
    "it's the dog's 2nd 42nd birthday -- isn't it?",
    "Bäume am See, une forêt; 家和树 🌳",
    "under_score and <tags> & [brackets] 100%",
    "café cafe\u0301 ﬁne Ǆ",
    "two white cups on a green table " * 40,
)
"""Odd texts: capitals, nothing, white space, apostrophes, scripts, signs, composed letters, far too long."""


def clip_tokenizer(folder: Path) -> None:
    """Byte-level BPE whose words end in `</w>`, as OpenAI's."""
    signs = sorted(pre_tokenizers.ByteLevel.alphabet())
    alphabet = [*signs, *(f"{sign}</w>" for sign in signs)]
    made = Tokenizer(BPE(end_of_word_suffix="</w>", unk_token="<|endoftext|>", continuing_subword_prefix=""))
    _clip_steps(made)
    trainer = trainers.BpeTrainer(vocab_size=500, end_of_word_suffix="</w>", show_progress=False)
    made.train_from_iterator(CORPUS * 3, trainer)
    merges = _merges(made)
    vocabulary = _numbered(
        [*alphabet, *("".join(pair) for pair in merges), "<|startoftext|>", "<|endoftext|>"]
    )
    made = Tokenizer(
        BPE(
            vocabulary,
            merges,
            end_of_word_suffix="</w>",
            unk_token="<|endoftext|>",
            continuing_subword_prefix="",
        )
    )
    _clip_steps(made)
    ends = {name: (name, vocabulary[name]) for name in ("<|startoftext|>", "<|endoftext|>")}
    made.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in ends])
    made.post_processor = processors.RobertaProcessing(
        ends["<|endoftext|>"], ends["<|startoftext|>"], False, False
    )
    _write(
        folder,
        made,
        tokenizer_class="CLIPTokenizer",
        bos_token="<|startoftext|>",
        eos_token="<|endoftext|>",
        unk_token="<|endoftext|>",
        pad_token="<|endoftext|>",
        model_max_length=77,
    )
    _write_vocabulary(folder, vocabulary, merges)


def _clip_steps(made: Tokenizer) -> None:
    words = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
    made.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(words), "removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    made.decoder = decoders.ByteLevel()


def siglip_tokenizer(folder: Path) -> None:
    """SentencePiece's Unigram with an end mark that also pads, as SigLIP's."""
    made = _unigram(["<pad>", "</s>", "<unk>"], "<unk>")
    _frame(made, [], ["</s>"])
    _write(
        folder,
        made,
        tokenizer_class="SiglipTokenizer",
        eos_token="</s>",
        pad_token="</s>",
        unk_token="<unk>",
        model_max_length=64,
        padding_side="right",
    )


def gemma_tokenizer(folder: Path) -> None:
    """BPE over pieces with bytes to fall back on, and an end mark, as SigLIP 2's."""
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    made, vocabulary, merges = _pieces(special)
    made = Tokenizer(BPE(vocabulary, merges, fuse_unk=True, byte_fallback=True, unk_token="<unk>"))
    made.normalizer = normalizers.Replace(" ", "▁")
    made.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    made.add_special_tokens(special)
    _frame(made, [], ["<eos>"])
    _write(
        folder,
        made,
        tokenizer_class="GemmaTokenizer",
        bos_token="<bos>",
        eos_token="<eos>",
        pad_token="<pad>",
        unk_token="<unk>",
        mask_token="<mask>",
        add_bos_token=False,
        add_eos_token=True,
        model_max_length=64,
        padding_side="right",
    )


def xlm_tokenizer(folder: Path) -> None:
    """SentencePiece's Unigram between two marks, as XLM-RoBERTa's."""
    made = _unigram(["<s>", "<pad>", "</s>", "<unk>"], "<unk>", ["<mask>"])
    _frame(made, ["<s>"], ["</s>"])
    _write(folder, made, tokenizer_class="XLMRobertaTokenizer", model_max_length=40, **_FAIRSEQ)


def nllb_tokenizer(folder: Path) -> None:
    """BPE over pieces with a token of the language in front, as NLLB's; saved for English."""
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    _, vocabulary, merges = _pieces(special)
    for token in (*LANGUAGES, "<mask>"):
        vocabulary[token] = len(vocabulary)
    made = Tokenizer(BPE(vocabulary, merges, fuse_unk=True, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=True)
    made.decoder = decoders.Metaspace(prepend_scheme="always", split=True)
    made.add_special_tokens([*special, *LANGUAGES, "<mask>"])
    _frame(made, ["eng_Latn"], ["</s>"])
    _write(
        folder,
        made,
        tokenizer_class="NllbTokenizer",
        model_max_length=40,
        src_lang="eng_Latn",
        additional_special_tokens=list(LANGUAGES),
        **_FAIRSEQ,
    )


_FAIRSEQ = {
    "bos_token": "<s>",
    "eos_token": "</s>",
    "cls_token": "<s>",
    "sep_token": "</s>",
    "unk_token": "<unk>",
    "pad_token": "<pad>",
    "mask_token": "<mask>",
}


def bert_tokenizer(folder: Path) -> int:
    """WordPiece as BERT's; gives the size of its vocabulary."""
    from tokenizers.models import WordPiece

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    made = Tokenizer(WordPiece(unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=300, special_tokens=special, show_progress=False)
    made.train_from_iterator(CORPUS, trainer)
    _frame(made, ["[CLS]"], ["[SEP]"])
    _write(
        folder,
        made,
        tokenizer_class="BertTokenizer",
        do_lower_case=True,
        cls_token="[CLS]",
        sep_token="[SEP]",
        pad_token="[PAD]",
        unk_token="[UNK]",
        mask_token="[MASK]",
        model_max_length=48,
    )
    words = sorted(made.get_vocab().items(), key=lambda entry: entry[1])
    (folder / "vocab.txt").write_text("\n".join(word for word, _ in words) + "\n", encoding="utf-8")
    return made.get_vocab_size()


def clip_model(folder: Path, *, seed: int = 0, gelu: str = "quick_gelu") -> Any:
    """CLIP of OpenAI's kind, in transformers' layout."""
    from transformers import CLIPConfig, CLIPModel

    clip_tokenizer(folder)
    size = vocabulary_size(folder)
    config = CLIPConfig(
        projection_dim=DIM,
        text_config=_tower(
            vocab_size=size,
            max_position_embeddings=77,
            bos_token_id=size - 2,
            eos_token_id=size - 1,
            pad_token_id=size - 1,
            hidden_act=gelu,
        ),
        vision_config=_tower(image_size=SIDE, patch_size=8, hidden_act=gelu),
    )
    picture_steps(
        folder, size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}, kind="CLIP"
    )
    return _saved(CLIPModel, config, folder, seed)


def siglip_model(folder: Path, *, gemma: bool = False, seed: int = 1) -> Any:
    """SigLIP, or with a Gemma tokenizer and bilinear pictures SigLIP 2 of a fixed size."""
    from transformers import SiglipConfig, SiglipModel

    layers = 1 if gemma else 2  # what differs is the tokenizer, and graphs take their time to write
    (gemma_tokenizer if gemma else siglip_tokenizer)(folder)
    config = SiglipConfig(
        text_config=_tower(
            layers=layers,
            vocab_size=vocabulary_size(folder),
            max_position_embeddings=64,
            projection_size=WIDTH,
            pad_token_id=1,
        ),
        vision_config=_tower(image_size=SIDE, patch_size=8, layers=layers),
    )
    resample = 2 if gemma else 3
    half = [0.5, 0.5, 0.5]
    picture_steps(
        folder,
        size={"height": SIDE, "width": SIDE},
        kind="Siglip",
        resample=resample,
        image_mean=half,
        image_std=half,
    )
    return _saved(SiglipModel, config, folder, seed)


def multilingual_model(folder: Path, *, nllb: bool = False, seed: int = 2) -> Any:
    """A text tower of XLM-RoBERTa's kind with an attention mask beside CLIP's picture tower (AltCLIP)."""
    from transformers import AltCLIPConfig, AltCLIPModel

    layers = 1 if nllb else 2
    (nllb_tokenizer if nllb else xlm_tokenizer)(folder)
    config = AltCLIPConfig(
        projection_dim=DIM,
        text_config=_tower(
            layers=layers,
            vocab_size=vocabulary_size(folder),
            max_position_embeddings=80,
            project_dim=WIDTH,
            pad_token_id=1,
            type_vocab_size=1,
        ),
        vision_config=_tower(image_size=SIDE, patch_size=8, layers=layers),
    )
    picture_steps(
        folder, size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}, kind="CLIP"
    )
    return _saved(AltCLIPModel, config, folder, seed)


def chinese_model(folder: Path, *, seed: int = 4) -> Any:
    """Chinese-CLIP, whose tokenizer is a list of words alone."""
    from transformers import ChineseCLIPConfig, ChineseCLIPModel

    size = bert_tokenizer(folder)
    (folder / "tokenizer.json").unlink()
    config = ChineseCLIPConfig(
        projection_dim=DIM,
        text_config=_tower(vocab_size=size, max_position_embeddings=64, layers=1),
        vision_config=_tower(image_size=SIDE, patch_size=8, layers=1),
    )
    picture_steps(folder, size={"height": SIDE, "width": SIDE}, kind="ChineseCLIP")
    return _saved(ChineseCLIPModel, config, folder, seed)


def bert_model(folder: Path, *, seed: int = 3) -> Any:
    """BERT in the folder of a sentence-transformers model."""
    from transformers import BertConfig, BertModel

    config = BertConfig(**_tower(vocab_size=bert_tokenizer(folder), max_position_embeddings=64))
    modules = [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}]
    pooling = {"word_embedding_dimension": WIDTH, "pooling_mode_mean_tokens": True}
    (folder / "1_Pooling").mkdir()
    write_json(folder / "modules.json", modules)
    write_json(folder / "1_Pooling" / "config.json", pooling)
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": 48, "do_lower_case": False})
    return _saved(BertModel, config, folder, seed)


def picture_steps(folder: Path, *, kind: str, size: Any, **more: Any) -> None:
    """`preprocessor_config.json`."""
    steps = {
        "image_processor_type": f"{kind}ImageProcessor",
        "do_resize": True,
        "do_rescale": True,
        "do_normalize": True,
        "do_center_crop": "crop_size" in more,
        "do_convert_rgb": True,
        "rescale_factor": 1 / 255,
        "resample": 3,
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711],
        "size": size,
    }
    write_json(folder / "preprocessor_config.json", {**steps, **more})


def vocabulary_size(folder: Path) -> int:
    """Tokens of a folder's tokenizer."""
    return Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab_size()


def write_json(path: Path, content: Any) -> None:
    """Write JSON as publishers do."""
    path.write_text(json.dumps(content, ensure_ascii=False, indent=2), encoding="utf-8")


def _tower(*, layers: int = 2, **more: Any) -> dict[str, Any]:
    return {
        "hidden_size": WIDTH,
        "intermediate_size": 2 * WIDTH,
        "num_hidden_layers": layers,
        "num_attention_heads": 2,
        "initializer_range": 0.5,
        **more,
    }


def _saved(kind: Any, config: Any, folder: Path, seed: int) -> Any:
    """A model whose weights are large enough that every input makes a difference."""
    import torch

    torch.manual_seed(seed)
    model = kind(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=0.15)
    model.save_pretrained(str(folder))
    return model


def _unigram(special: list[str], unknown: str, last: Sequence[str] = ()) -> Tokenizer:
    made = Tokenizer(Unigram())
    made.normalizer = normalizers.Replace(Regex(" {2,}"), " ")
    made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    trainer = trainers.UnigramTrainer(
        vocab_size=200, special_tokens=special, unk_token=unknown, show_progress=False
    )
    made.train_from_iterator(CORPUS * 3, trainer)
    made.add_special_tokens(list(last))
    return made


def _pieces(special: list[str]) -> tuple[Tokenizer, dict[str, int], list[tuple[str, str]]]:
    """A vocabulary of special tokens, bytes, signs and merges, and the merges."""
    made = Tokenizer(BPE())
    made.normalizer = normalizers.Replace(" ", "▁")
    made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    made.train_from_iterator(CORPUS * 3, trainers.BpeTrainer(vocab_size=250, show_progress=False))
    merges = _merges(made)
    signs = sorted({sign for text in CORPUS for sign in text.replace(" ", "▁")})
    tokens = [
        *special,
        *(f"<0x{byte:02X}>" for byte in range(256)),
        *signs,
        *("".join(pair) for pair in merges),
    ]
    return made, _numbered(tokens), merges


def _merges(made: Tokenizer) -> list[tuple[str, str]]:
    return [(pair[0], pair[1]) for pair in json.loads(made.to_str())["model"]["merges"]]


def _numbered(tokens: Sequence[str]) -> dict[str, int]:
    return {token: at for at, token in enumerate(dict.fromkeys(tokens))}


def _frame(made: Tokenizer, before: list[str], after: list[str]) -> None:
    ids = [(token, made.token_to_id(token)) for token in {*before, *after}]
    made.post_processor = processors.TemplateProcessing(
        single=[*before, "$A", *after], pair=None, special_tokens=ids
    )


def _write(folder: Path, made: Tokenizer, **about: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    made.save(str(folder / "tokenizer.json"))
    write_json(folder / "tokenizer_config.json", about)


def _write_vocabulary(folder: Path, vocabulary: dict[str, int], merges: list[tuple[str, str]]) -> None:
    write_json(folder / "vocab.json", vocabulary)
    lines = ["#version: 0.2", *(f"{left} {right}" for left, right in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
