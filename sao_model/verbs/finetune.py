"""From a folder of one's own sounds to an adapter of a model, and sounds made with it: one command.

FOLDER holds sounds with their captions: x.txt beside x.wav, or metadata.csv (file_name, title, author,
license, url, and description for what the sound is). They become a dataset with a report and are encoded
once, an adapter is trained on them, and some of the captions are made into sounds. The same command goes on
after a stop, and trains on with a larger --set pace.steps=….

OUT/dataset    the sounds as they are trained on, who made them, what was left out and why
OUT/latents    what the model's codec makes of them, encoded once
OUT/run        the training: its page index.html, its checkpoints; `--lora OUT/run` takes the latest
OUT/sounds     what the adapter makes of captions of yours, with a page to hear them on
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import re
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sao_data.dataset.reader import Dataset
    from sao_data.latents.reader import Latents
    from sao_data.records import Recording
    from sao_model import train_dit
    from sao_model.opened import Opened
    from sao_model.training.loop import RunProgress

HELP = "a folder of sounds to an adapter of a model: one command"

_LEAST = 4  # sounds
_UNKNOWN = "UNKNOWN"  # a licence that cannot be told
_MOST_SHOWN = 8  # names in a message
_NUM_DEMOS = 4

# In --out.
_MANIFEST, _DATASET, _LATENTS, _RUN = "dataset.toml", "dataset", "latents", "run"
_PROMPTS, _SOUNDS = "prompts.csv", "sounds"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("folder", metavar="FOLDER", help="sounds with captions")
    add("--model", metavar="CKPT", required=True, help="checkpoint, run, or published folder to start from")
    add("--out", metavar="DIR", required=True, help="where dataset, training and sounds go")
    add("--licence", metavar="NAME", default="", help="of sounds that state none: CC0-1.0, CC-BY-4.0, …")
    add("--author", metavar="NAME", default="", help="of sounds that name none")
    add("--config", metavar="FILE", default="", help="training preset (default: dit_lora)")
    add("--set", metavar="KEY=VALUE", action="append", default=[], help="override a field of the training")


def run(args: argparse.Namespace) -> int:
    """Check, ingest, train, make sounds; say where they are and what to run next."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that spin starve each other
    from sao_data.commands import common, progress
    from sao_model import opened

    out, folder = _out(args), Path(args.folder)
    found = opened.find(args.model)
    captions = _captions(folder, args)
    config = _training(args, found)
    out.mkdir(parents=True, exist_ok=True)
    with closing(progress.make()) as shown:
        dataset = _dataset(folder, args, out, found, shown)
        latents = _encoded(dataset, found, out, shown)
        last = _train(_fitting(config, args, dataset), latents, found, out, shown)
        kept = [captions[row.id] for row in dataset.catalogue() if row.kept and row.id in captions]
        page = _make_sounds(kept, found, last, out, shown)
    common.note(f"adapter {last}")
    sys.stdout.write(_next(args, out, kept, page))
    return 0


def _out(args: argparse.Namespace) -> Path:
    """UsageError for folders that cannot be what they are given as."""
    from sao_data.commands import common
    from sao_data.errors import UsageError

    folder, out = Path(args.folder), common.output_folder(args.out, "finetune")
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; give a folder of sounds")
    if out.resolve().is_relative_to(folder.resolve()):
        raise UsageError(f"--out {args.out}: lies in the folder of the sounds; give a place outside of it")
    if not Path(args.model).is_dir():
        raise UsageError(f"--model {args.model}: no such folder; give a checkpoint, or a run that has some")
    return out


def _captions(folder: Path, args: argparse.Namespace) -> dict[str, str]:
    """The captions of all sounds by id; UsageError for sounds without one, or whose licence is not clear."""
    from sao_data.captions import metadata
    from sao_data.errors import UsageError
    from sao_data.licences import parse_fields
    from sao_data.records import Offer
    from sao_data.sources import folder as source

    if args.licence and (said := parse_fields("", args.licence)).license_id == _UNKNOWN:
        raise UsageError(
            f"--licence {args.licence}: no licence that is known ({said.why}); give the one under which you "
            "offer these sounds, e.g. CC0-1.0 or CC-BY-4.0"
        )
    asked = source.Config(path=str(folder), license=args.licence, author=args.author)
    sounds = [offer.recording for offer in source.build(asked).offers() if isinstance(offer, Offer)]
    builder = metadata.build(metadata.Config())
    bare = [each for each in sounds if not builder.fields(each)]
    if bare:
        text = Path(bare[0].audio_url).with_suffix(".txt")
        raise UsageError(
            f"{folder}: {len(bare)} of {len(sounds)} sounds have no caption: {_names(bare)}; say what each "
            f"is in a text beside it (the first: {folder / text}), or in the column description of "
            f"{folder / 'metadata.csv'}"
        )
    read = [(each, parse_fields(each.license_url, each.license_claim)) for each in sounds]
    unclear = [each for each, licence in read if licence.license_id == _UNKNOWN]
    if unclear:
        raise UsageError(
            f"{folder}: under which licence are these? {len(unclear)} of {len(sounds)} sounds do not say: "
            f"{_names(unclear)}; if they are yours, or you know it, declare it with --licence CC0-1.0 (or "
            f"CC-BY-4.0, …), else say it for each in the column license of {folder}/metadata.csv"
        )
    if len(sounds) < _LEAST:
        raise UsageError(f"{folder}: {_too_few(len(sounds))}")
    return {each.id: builder.prompt(each, builder.fields(each)) for each in sounds}


def _training(args: argparse.Namespace, found: Opened) -> train_dit.Config:
    """The training's config: the preset, what this machine can do, and what is asked for."""
    import torch

    from sao_data import config
    from sao_data.commands import common
    from sao_data.errors import UsageError
    from sao_data.shipped import manifests_folder
    from sao_model import train_dit

    path = Path(args.config) if args.config else manifests_folder() / "training" / "dit_lora.toml"
    table: dict[str, Any] = config.read_toml(path)
    if not args.config and not torch.cuda.is_available():
        common.note("no GPU: float32 on the CPU, which takes long for any but small models")
        table |= {"precision": "no", "adapter": table["adapter"] | {"base_dtype": "float32"}}
    config.apply_set(table, args.set)
    table |= {"model": "", "start_from": str(found.folder)}
    made = config.parse(train_dit.Config, table, where=str(path))
    if not made.adapter:
        raise UsageError(f"{path}: learns no adapter; give a preset with [adapter] kind = …")
    if not made.pace.save_every or made.pace.overfit:
        raise UsageError("pace.save_every = 0: the adapter would not be kept; give a number of steps")
    return made


def _dataset(folder: Path, args: argparse.Namespace, out: Path, found: Opened, shown: RunProgress) -> Dataset:
    """The folder as a dataset, through the same steps as any other; UsageError if too little is left."""
    from sao_data import manifest
    from sao_data.commands import common
    from sao_data.dataset.reader import open_dataset
    from sao_data.errors import UsageError
    from sao_data.execution import executor
    from sao_data.ingest.run import ingest

    shape = found.describe().config
    text = _manifest(folder, args, out, least=shape.codec.hop / shape.sample_rate)
    (out / _MANIFEST).write_text(text, encoding="utf-8")
    with closing(executor.make("local")) as runner:
        summary = ingest(manifest.load(out / _MANIFEST), str(out / _DATASET), runner, shown)
    dataset = open_dataset(str(out / _DATASET))
    common.note(f"dataset {dataset.facts['version']}: {summary.kept} of {summary.offered} sounds")
    left_out = [row for row in dataset.catalogue() if not row.kept]
    for row in left_out[:_MOST_SHOWN]:
        common.note(f"left out: {row.id} ({row.stage}: {row.reason})")
    if len(left_out) > _MOST_SHOWN:
        common.note(f"… and {len(left_out) - _MOST_SHOWN} more: the report in {out / _DATASET} has them")
    if summary.kept < _LEAST:
        reasons = ", ".join(f"{num} {reason}" for _, reason, num in summary.rejected)
        raise UsageError(f"{folder}: {_too_few(summary.kept)} ({reasons or 'nothing was left out'})")
    return dataset


def _manifest(folder: Path, args: argparse.Namespace, out: Path, *, least: float) -> str:
    """The dataset's manifest; sounds shorter than one latent are left out."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", out.name).strip("._-") or "finetune"
    declared = {"license": args.licence, "author": args.author, "declared_by": args.author}
    lines = [
        "# Written by sao finetune. The same dataset again: pipelines/ingest.py --manifest THIS_FILE",
        f"name = {_quoted(name)}",
        f"description = {_quoted(f'Sounds of the folder {folder.name}, for an adapter.')}",
        f"contact = {_quoted(args.author)}",
        "num_buckets = 1",
        'screening = "off"',
        "",
        "[[source]]",
        'plugin = "folder"',
        f"path = {_quoted(str(folder.resolve()))}",
        *(f"{key} = {_quoted(value)}" for key, value in declared.items() if value),
        "",
        "[[filter]]",
        'plugin = "min_seconds"',
        f"seconds = {least!r}  # one latent of the model",
    ]
    return "\n".join(lines) + "\n"


def _encoded(dataset: Dataset, found: Opened, out: Path, shown: RunProgress) -> Latents:
    """The dataset as the model's codec sees it; only what is new is encoded."""
    from sao_data.commands import common
    from sao_data.execution import executor
    from sao_data.latents.reader import open_latents
    from sao_model.encoding import run, settings

    with closing(executor.make("local")) as runner:
        said = run.encode(settings.Config(), dataset, str(found.folder), str(out / _LATENTS), runner, shown)
    common.note(f"latents: {said.num_encoded} encoded, {said.num_copied} taken over")
    return open_latents(str(out / _LATENTS), dataset)


def _fitting(config: train_dit.Config, args: argparse.Namespace, dataset: Dataset) -> train_dit.Config:
    """The config with a batch no larger than the dataset, unless one was asked for."""
    from sao_data.commands import common

    num = sum(shard.num_samples for shard in dataset.shards() if shard.series in config.stream.series)
    is_asked = any(each.startswith(("batch_size=", "accumulate=")) for each in args.set)
    if num >= config.batch_size or is_asked:
        return config
    common.note(f"a batch of {num}, not of {config.batch_size}: there are no more sounds")
    return replace(config, batch_size=num, accumulate=num if config.accumulate > 1 else 1)


def _train(config: train_dit.Config, latents: Latents, found: Opened, out: Path, shown: RunProgress) -> Path:
    """Train, or go on; return the adapter's folder."""
    from sao_model import train_dit

    return train_dit.train(config, latents, str(found.folder), out / _RUN, resume="auto", progress=shown)


def _make_sounds(captions: list[str], found: Opened, adapter: Path, out: Path, shown: RunProgress) -> Path:
    """Sounds of some of the captions, and of none of them: the page to hear them on."""
    from sao_model import generation, making, run

    table = io.StringIO(newline="")
    csv.writer(table).writerows([["prompt"], *([text] for text in _some(captions))])
    run.write(out / _PROMPTS, table.getvalue().encode())
    sounds = out / _SOUNDS / f"step-{run.step_of(adapter):08d}"
    sounds.parent.mkdir(exist_ok=True)
    asked = generation.Config(prompts=str(out / _PROMPTS), seed=0, steps=50, loras=(f"{adapter}:1",))
    making.generate(str(found.folder), asked, sounds, shown)
    return sounds / making.SHEET


def _next(args: argparse.Namespace, out: Path, captions: list[str], page: Path) -> str:
    """What there is now, and what to do with it."""
    import shlex

    model, lora = shlex.quote(args.model), shlex.quote(f"{args.out}/run:1.0")
    data, report = shlex.quote(str(out / _DATASET)), shlex.quote(str(out / "report"))
    caption = shlex.quote(_some(captions)[0])
    return (
        f"{page.absolute()}\n"
        "next:\n"
        f"  pipelines/generate.py --model {model} --lora {lora} --prompt {caption} --out sound.wav\n"
        f"  sao ui {model} --lora {lora}\n"
        f"  sao model {shlex.quote(str(out / _RUN))}\n"
        f"  pipelines/report.py --data {data} --checkpoint {shlex.quote(str(out / _RUN))} --out {report}\n"
        f"  sao merge {model} --lora {lora} --out MODEL\n"
    )


def _some(captions: list[str]) -> list[str]:
    """Some captions, spread over all of them."""
    every = list(dict.fromkeys(captions))
    return every[:: max(1, len(every) // _NUM_DEMOS)][:_NUM_DEMOS]


def _too_few(num: int) -> str:
    return f"{num} sounds; want at least {_LEAST} (50 are good): fewer are learned by heart"


def _names(sounds: list[Recording]) -> str:
    some = ", ".join(each.audio_url for each in sounds[:_MOST_SHOWN])
    return some + f", … ({len(sounds) - _MOST_SHOWN} more)" * (len(sounds) > _MOST_SHOWN)


def _quoted(text: str) -> str:
    """A TOML string."""
    return json.dumps(text, ensure_ascii=False)
