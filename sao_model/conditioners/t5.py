"""Text through a frozen T5 encoder (paper 2.2; Raffel et al. 2020): 128 tokens, padding as exact zeros.

Either a published encoder, or, with `pretrained = ""`, a small one with random weights whose tokeniser needs
no file: it tells prompts apart, which is all that tests and offline runs want. A published one is fetched by
name, or lies in a folder; from there it goes into checkpoints with its tokenizer, so that these work wherever
they are taken. One that is fetched by name stays out of them, unless asked for (`sao import`).

    B batch   S tokens   C width
"""

from __future__ import annotations

import hashlib
import logging
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, Self, cast

import torch
from torch import Tensor, nn

from sao_data.errors import IntegrityError, UsageError
from sao_data.storage import documents
from sao_model import published_settings, weights

TOKENIZER = ("tokenizer.json", "tokenizer_config.json")  # the first is needed

_AGAIN = "download it again"
_UNREADABLE = (OSError, ValueError, TypeError, LookupError, AttributeError, RuntimeError)
_EMBEDDING = ("shared.weight", "encoder.embed_tokens.weight")
PAD, END, FIRST_WORD = 0, 1, 2  # token ids of the hashed-word tokeniser; the first two as T5 has them

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Shape and origin of the encoder; the defaults are t5-base, as in the released model."""

    pretrained: str = "t5-base"  # Hugging Face name or folder; '' = random weights, words as hashed tokens
    tokenizer: str = ""  # name or folder; '' = where the encoder is
    max_tokens: int = 128  # "max_length"; a longer prompt is cut, and the cut is logged
    half: bool = False  # run in float16, as SAT does (1.4e-3 rms away from float32)
    width: int = 768
    num_layers: int = 12
    num_heads: int = 12
    head_dim: int = 64
    ff_dim: int = 3072
    vocab_size: int = 32_128
    seed: int = 0  # of the random weights
    terms: str = ""  # licence of published weights, for `sao model`
    stored: bool = False  # lies in this checkpoint with its tokenizer; `pretrained` says where it came from


class NoEncoder(UsageError):
    """A published encoder is neither in its folder nor to be fetched by its name."""


class Tokenize(Protocol):
    """Token ids of each prompt with the end token, neither padded nor cut."""

    def __call__(self, prompts: Sequence[str]) -> list[list[int]]: ...


class TextConditioner(nn.Module):
    """Prompts to tokens of the encoder's width."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.encoder = _frozen(_random_encoder(config), config)
        self.tokenize: Tokenize | None = None if config.pretrained else _hashed_words(config.vocab_size)
        self.files: dict[str, bytes] = {}  # of a published tokenizer, by their names
        self.goes_along = not config.pretrained or config.stored  # into every checkpoint

    def train(self, mode: bool = True) -> Self:
        """Stay in evaluation mode: the frozen encoder never drops anything out."""
        return super().train(False)

    def fetch(self) -> None:
        """Replace the encoder by the published weights and tokeniser; nothing to do for a random one."""
        if self.config.stored:
            raise UsageError("prompt: stored = true is what checkpoints say of themselves; leave it out")
        if self.config.pretrained:
            self.encoder = _frozen(_pretrained_encoder(self.config), self.config)
            name = self.config.tokenizer or self.config.pretrained
            self.open_tokenizer(_tokenizer_files(name), where=name)
            self.goes_along = Path(self.config.pretrained).is_dir()

    def open_tokenizer(self, files: Mapping[str, bytes], *, where: str) -> None:
        """Use the tokenizer in these files (`TOKENIZER`)."""
        self.files = dict(files)
        self.tokenize = _tokenizer(files[TOKENIZER[0]], f"{where}/{TOKENIZER[0]}", self.config.vocab_size)

    def forward(self, prompts: Sequence[str]) -> Tensor:
        """Text (B, S, C); positions after the end token are zero."""
        device = next(self.encoder.parameters()).device
        ids_BS, mask_BS = (x.to(device) for x in self.tokens(prompts))
        with torch.no_grad():
            hidden_BSC = self.encoder(input_ids=ids_BS, attention_mask=mask_BS).last_hidden_state
        return cast("Tensor", hidden_BSC.float() * mask_BS[..., None])

    def tokens(self, prompts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Token ids and mask, (B, S) each, padded to `max_tokens`; says which prompts are cut."""
        assert self.tokenize is not None, "fetch() first"
        window = self.config.max_tokens
        ids_BS = torch.full((len(prompts), window), PAD)
        mask_BS = torch.zeros_like(ids_BS)
        for row, (prompt, ids) in enumerate(zip(prompts, self.tokenize(prompts), strict=True)):
            if len(ids) > window:
                log.warning("prompt of %d tokens cut to %d: %.60r…", len(ids), window, prompt)
                ids = [*ids[: window - 1], ids[-1]]  # the end token stays
            ids_BS[row, : len(ids)] = torch.tensor(ids)
            mask_BS[row, : len(ids)] = 1
        return ids_BS, mask_BS


def build(config: Config) -> TextConditioner:
    """Make a conditioner; `fetch()` then gets the weights of a published encoder."""
    return TextConditioner(config)


def shape(config: Config) -> tuple[int, ...]:
    """Width, layers, heads, head_dim, ff_dim, vocab_size."""
    sizes = (config.width, config.num_layers, config.num_heads, config.head_dim)
    return (*sizes, config.ff_dim, config.vocab_size)


def as_stored(config: Config) -> Config:
    """The config of an encoder that lies in a checkpoint; no path of the machine it was written on stays."""
    origin = Path(config.pretrained).name if Path(config.pretrained).is_dir() else config.pretrained
    return replace(config, stored=True, pretrained=origin, tokenizer="")


def _frozen(encoder: nn.Module, config: Config) -> nn.Module:
    return (encoder.half() if config.half else encoder).eval().requires_grad_(False)


def _random_encoder(config: Config) -> nn.Module:
    """A T5 encoder of this shape, the same for the same seed; without memory if to be fetched."""
    from transformers import T5Config, T5EncoderModel

    sizes = T5Config(
        vocab_size=config.vocab_size,
        d_model=config.width,
        d_kv=config.head_dim,
        d_ff=config.ff_dim,
        num_layers=config.num_layers,
        num_heads=config.num_heads,
    )
    device = torch.device("meta") if config.pretrained else torch.get_default_device()
    with torch.random.fork_rng(devices=[]), device:
        torch.default_generator.manual_seed(config.seed)
        return cast("nn.Module", T5EncoderModel(sizes))


def _pretrained_encoder(config: Config) -> nn.Module:
    from transformers import T5EncoderModel

    where = f"prompt: pretrained = {config.pretrained!r}"
    path = Path(config.pretrained) / "model.safetensors"
    tensors = weights.read(path, fix=_AGAIN) if weights.exists(path) else None  # else its reader finds them
    local = _local_shape(Path(config.pretrained))
    try:
        if tensors is not None and local is not None:
            with torch.device("meta"):
                encoder = T5EncoderModel(local)
            return _check_shape(_from_tensors(encoder, tensors, path), config, where)
        encoder = T5EncoderModel.from_pretrained(config.pretrained, config=local, dtype=torch.float32)
    except _UNREADABLE as error:
        fix = "give a folder with a T5 encoder, or go online once"
        raise NoEncoder(f"{where}: {_first_line(error)}; {fix}") from error
    return _check_shape(encoder, config, where)


def _from_tensors(encoder: nn.Module, tensors: dict[str, Tensor], path: Path) -> nn.Module:
    """The encoder with these weights: each of its own, and none that it does not have. A whole T5 holds a
    decoder too; its embedding is stored under one of two names, or both."""
    mine = {name: tensor for name, tensor in tensors.items() if not name.startswith(("decoder.", "lm_head."))}
    for name, alias in (_EMBEDDING, _EMBEDDING[::-1]):
        if alias in mine:
            mine.setdefault(name, mine[alias])
    there = {name: tuple(tensor.shape) for name, tensor in mine.items()}
    wanted = {name: tuple(tensor.shape) for name, tensor in encoder.state_dict().items()}
    wrong = sorted(there.keys() ^ wanted.keys() or {name for name in wanted if wanted[name] != there[name]})
    if wrong:
        what = "another shape" if there.keys() == wanted.keys() else "missing, or not known"
        raise IntegrityError(f"{path}: {len(wrong)} tensors are {what}, {wrong[0]} for one; {_AGAIN}")
    weights.put(encoder, mine)
    return encoder


def _check_shape(encoder: Any, config: Config, where: str) -> nn.Module:
    said = encoder.config
    found = (said.d_model, said.num_layers, said.num_heads, said.d_kv, said.d_ff, said.vocab_size)
    wanted = shape(config)
    if found != wanted:
        raise UsageError(
            f"{where}: its width, layers, heads, head_dim, ff_dim and vocab_size are {found}, not {wanted}"
        )
    return cast("nn.Module", encoder)


def _local_shape(folder: Path) -> Any:
    """The T5Config of a local folder, of settings that were checked; None for a name, or without a file."""
    from transformers import T5Config

    path = folder / "config.json"
    if not path.is_file():
        return None
    table = documents.plain(path.read_bytes(), where=str(path), fix=_AGAIN)
    published_settings.check(table, published_settings.T5, where=str(path), others=True)
    sizes: dict[str, Any] = {
        key: int(table[key])
        for key, wanted in published_settings.T5.items()
        if isinstance(wanted, published_settings.Shape) and key in table
    }
    return T5Config(**sizes)


def _tokenizer_files(name: str) -> dict[str, bytes]:
    """A tokenizer's files: of a folder as they stand there, of a name as `transformers` knows it."""
    if (Path(name) / TOKENIZER[0]).is_file():
        return _read_tokenizer(Path(name))
    from transformers import AutoTokenizer

    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(name)
    except _UNREADABLE as error:
        fix = "give a folder with tokenizer.json, or go online once"
        raise NoEncoder(f"prompt: tokenizer {name!r}: {_first_line(error)}; {fix}") from error
    with tempfile.TemporaryDirectory() as made:
        tokenizer.save_pretrained(made)
        return _read_tokenizer(Path(made))


def _read_tokenizer(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in TOKENIZER if (folder / name).is_file()}


def _tokenizer(data: bytes, where: str, vocab_size: int) -> Tokenize:
    """That of a tokenizer.json. Its ids are those that `transformers` gives."""
    from tokenizers import Tokenizer

    documents.plain(data, where=where, fix=_AGAIN)
    try:
        tokenizer: Any = Tokenizer.from_buffer(data)
    except ValueError as error:
        raise IntegrityError(f"{where}: not a tokenizer ({_first_line(error)}); {_AGAIN}") from error
    if (most := max(tokenizer.get_vocab().values(), default=-1)) >= vocab_size:
        raise IntegrityError(f"{where}: has token {most}, the encoder knows {vocab_size}; {_AGAIN}")
    tokenizer.no_truncation()  # we cut, and say so
    tokenizer.no_padding()
    return lambda prompts: [encoding.ids for encoding in tokenizer.encode_batch(list(prompts))]


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _hashed_words(vocab_size: int) -> Tokenize:
    """Each word or sign, whatever its case, as one of `vocab_size` tokens chosen by its hash."""

    def token(word: str) -> int:
        number = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8])
        return FIRST_WORD + number % (vocab_size - FIRST_WORD)

    return lambda prompts: [[*map(token, re.findall(r"\w+|[^\w\s]", p.casefold())), END] for p in prompts]
