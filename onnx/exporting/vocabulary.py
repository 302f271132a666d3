"""Vocabularies in CLIP's format (vocab.json + merges.txt), made by rule: byte symbols, their word-final forms, merges, two markers."""

import json
from itertools import product
from pathlib import Path

BOS, EOS = "<|startoftext|>", "<|endoftext|>"
WORD_END = "</w>"
LETTERS = "etaoinshrdlucmfwypvbgkjqxz"


def byte_symbols() -> list[str]:
    """GPT-2's printable stand-ins for the 256 bytes, in CLIP's order."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + i) for i in range(len(others))]


def word_merges(words: list[str]) -> list[tuple[str, str]]:
    """Merges that build each word from the left, in order of first need."""
    merges = dict.fromkeys(())
    for word in words:
        symbols = [*word[:-1], word[-1] + WORD_END]
        while len(symbols) > 1:
            merges[(symbols[0], symbols[1])] = None
            symbols[:2] = [symbols[0] + symbols[1]]
    return list(merges)


def filler_merges(taken: list[tuple[str, str]], count: int) -> list[tuple[str, str]]:
    """`count` merges in all: `taken`, then letter strings of growing length."""
    merges = dict.fromkeys(taken)
    made = {a + b for a, b in merges}
    for length in (2, 3, 4):
        for letters in product(LETTERS, repeat=length):
            for end in ("", WORD_END):
                pair = ("".join(letters[:-1]), letters[-1] + end)
                if len(merges) >= count:
                    return list(merges)[:count]
                if pair[0] + pair[1] not in made:
                    made.add(pair[0] + pair[1])
                    merges[pair] = None
    return list(merges)[:count]


def write_tokenizer(folder: Path, size: int, length: int, words: list[str]) -> None:
    """Writes an original SD v1.5 style tokenizer directory: no tokenizer.json."""
    symbols = byte_symbols()
    base = symbols + [symbol + WORD_END for symbol in symbols]
    merges = filler_merges(word_merges(words), size - len(base) - 2)
    tokens = base + [a + b for a, b in merges] + [BOS, EOS]
    assert len(set(tokens)) == size, (len(set(tokens)), len(tokens), size)
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {token: i for i, token in enumerate(tokens)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
    lines = ["#version: 0.2", *(f"{a} {b}" for a, b in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    marker = {"lstrip": False, "normalized": True, "rstrip": False, "single_word": False}
    special = {"bos_token": BOS, "eos_token": EOS, "unk_token": EOS}
    write_json(folder / "special_tokens_map.json", {key: {"content": text, **marker} for key, text in special.items()} | {"pad_token": EOS})
    added = {key: {"__type": "AddedToken", "content": text, **marker} for key, text in special.items()}
    settings = {"add_prefix_space": False, "do_lower_case": True, "errors": "replace", "model_max_length": length}
    write_json(folder / "tokenizer_config.json", settings | added | {"pad_token": EOS, "tokenizer_class": "CLIPTokenizer"})


def write_json(path: Path, value) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
