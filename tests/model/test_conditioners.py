import logging

import pytest
import torch

from sao_data.errors import IntegrityError, UsageError
from sao_model import conditioners
from sao_model.conditioners import seconds, t5
from tests.paths import SHARED

SMALL = t5.Config(
    pretrained="", max_tokens=8, width=32, num_layers=1, num_heads=2, head_dim=16, ff_dim=32, vocab_size=512
)
torch.set_num_threads(1)


def test_text_is_padded_with_exact_zeros_and_ignores_case() -> None:
    text = t5.build(SMALL)(["a dog barks", "A DOG barks", ""])
    assert text.shape == (3, 8, 32)
    assert text[0, 4:].eq(0).all()
    assert text[0, :4].ne(0).any(-1).all()
    assert torch.equal(text[0], text[1])
    assert text[2, 1:].eq(0).all()  # the empty prompt is one token: the end
    assert text[2, 0].ne(0).any()


def test_prompts_can_be_told_apart() -> None:
    text = t5.build(SMALL)(["rain", "drums"])
    assert float((text[0, 0] - text[1, 0]).abs().max()) > 0.1


def test_a_long_prompt_is_cut_and_the_cut_is_said(caplog: pytest.LogCaptureFixture) -> None:
    encoder = t5.build(SMALL)
    with caplog.at_level(logging.WARNING):
        ids, mask = encoder.tokens(["one two three four five six seven eight nine"])
    assert "10 tokens cut to 8" in caplog.text
    assert ids[0, -1] == t5.END
    assert mask.sum() == 8


def test_the_encoder_is_frozen_seeded_and_never_in_training_mode() -> None:
    encoder = t5.build(SMALL).train()
    assert not encoder.encoder.training
    assert not [p for p in encoder.parameters() if p.requires_grad]
    assert torch.equal(encoder(["rain"]), t5.build(SMALL)(["rain"]))


def test_building_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    t5.build(SMALL)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_published_encoder_that_is_absent_says_what_to_do(tmp_path: object) -> None:
    encoder = t5.build(t5.Config(pretrained=f"{tmp_path}/t5"))
    assert all(p.is_meta for p in encoder.parameters())
    with pytest.raises(UsageError, match="give a folder with a T5 encoder"):
        encoder.fetch()


def test_seconds_are_clamped_and_parameters_are_counted() -> None:
    number = seconds.build(seconds.Config())
    assert sum(p.numel() for p in number.parameters()) == 198_272
    with torch.no_grad():
        tokens = number(torch.tensor([512.0, 600.0, -1.0, 0.0, 5.0]))
    assert tokens.shape == (5, 1, 768)
    assert torch.equal(tokens[0], tokens[1])
    assert torch.equal(tokens[2], tokens[3])
    assert not torch.allclose(tokens[3], tokens[4])


@pytest.mark.parametrize("name", conditioners.names())
def test_every_conditioner_is_a_plugin(name: str) -> None:
    module = conditioners.load(name, where="test")
    assert hasattr(module.Config(), "width")
    assert callable(module.build)


def test_an_unknown_conditioner_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'seconds'"):
        conditioners.load("second", where="test")


TOKENIZER = SHARED / "stable-audio-open-1.0" / "tokenizer"


@pytest.mark.skipif(not TOKENIZER.is_dir(), reason="needs the published tokenizer beside the checkout")
def test_the_published_tokenizer_gives_the_ids_that_transformers_gives() -> None:
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(TOKENIZER)
    theirs.model_max_length = 10_000
    prompts = ["rain", "Amen break 174 BPM", "  two  blanks\n", "Ü ☂ 雨", "", "a " * 300, "<extra_id_0> x"]
    data = (TOKENIZER / "tokenizer.json").read_bytes()
    ours = t5._tokenizer(data, "tokenizer.json", 32_128)
    assert ours(prompts) == theirs(prompts)["input_ids"]
    with pytest.raises(IntegrityError, match=r"has token 32099, the encoder knows 100; download it again"):
        t5._tokenizer(data, "tokenizer.json", 100)
    with pytest.raises(IntegrityError, match=r"tokenizer\.json: not a tokenizer"):
        t5._tokenizer(b'{"version": "1.0", "model": {"type": "none"}}', "tokenizer.json", 32_128)
