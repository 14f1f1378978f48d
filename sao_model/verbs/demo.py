"""Run the whole job on something small that needs nothing: sounds in, a dataset, a model, a sound out.

48 made-up recordings become shards and a report; the dataset is verified; a tiny VAE and DiT train on the
shards for some steps; a sound is generated. A second run finds everything finished. DIR/recordings is an
example of a folder of one's own: five of the recordings as files, with metadata.csv.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sao_data.dataset.reader import Dataset
    from sao_data.storage.backend import Storage
    from sao_model.training.loop import RunProgress

HELP = "the whole job in small: dataset, report, a tiny model, a sound"

_PROMPT = "rain on a tin roof"
_SECONDS = 3.0
_FOLDER = "recordings"
_LEFT = {f"synthetic:{number:04d}" for number in (1, 2, 3, 5, 6)}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", metavar="DIR", default="", help="where (default: out/demo in the repository)"
    )
    parser.add_argument(
        "--executor", choices=("ray", "local"), default="ray", help="Ray cluster or this process"
    )
    parser.add_argument("--data-only", action="store_true", help="end at the verified dataset")


def run(args: argparse.Namespace) -> int:
    from contextlib import closing

    from sao_data import manifest
    from sao_data.commands import common, progress
    from sao_data.dataset import summary
    from sao_data.dataset.reader import open_dataset
    from sao_data.dataset.verify import verify
    from sao_data.errors import IntegrityError
    from sao_data.execution import executor
    from sao_data.ingest.run import ingest
    from sao_data.shipped import manifests_folder
    from sao_data.storage.backend import open_storage

    chosen = manifest.load(manifests_folder() / "demo.toml")
    url = common.output(args.out, chosen.name)
    with closing(progress.make()) as shown:
        with closing(executor.make(args.executor)) as runner:
            result = ingest(chosen, url, runner, shown)
        _leave_recordings(open_storage(url))
        dataset = open_dataset(url)
        findings = verify(dataset)
        if findings:
            raise IntegrityError(f"{url}: {len(findings)} findings, the first: {findings[0]}")
        lines = [] if args.data_only else _train_and_generate(dataset, Path(url), shown)
    summary.show(result, more=lines)
    return 0


def _leave_recordings(storage: Storage) -> None:
    """A folder as somebody's own might be, for manifests/own_recordings.toml; one work is under BY-NC."""
    import csv
    import io

    from sao_data.records import Offer
    from sao_data.sources import synthetic
    from sao_data.storage.backend import write_if_changed

    source = synthetic.build(synthetic.Config())
    table = io.StringIO(newline="")
    rows = csv.writer(table)
    rows.writerow(("file_name", "title", "author", "license", "url"))
    for offer in source.offers():
        if isinstance(offer, Offer) and offer.recording.id in _LEFT:
            said = offer.recording
            name = f"{said.id.partition(':')[2]}.{said.media.container}"
            with source.open(said) as file:
                write_if_changed(storage, f"{_FOLDER}/{name}", file.read())
            rows.writerow(
                (name, said.title, said.author, said.license_url or said.license_claim, said.page_url)
            )
    write_if_changed(storage, f"{_FOLDER}/metadata.csv", table.getvalue().encode())


def _train_and_generate(dataset: Dataset, out: Path, shown: RunProgress) -> list[str]:
    """Train the tiny VAE, the tiny DiT, generate; return what the box says of them."""
    import torch

    from sao_data import config
    from sao_data.shipped import manifests_folder
    from sao_model import generation, making, train_dit, train_vae

    torch.set_num_threads(
        1
    )  # convolutions this small gain nothing from a second, and lose much to other work
    training = manifests_folder() / "training"
    vae_config = config.parse(
        train_vae.Config, config.read_toml(training / "vae_tiny.toml"), where="vae_tiny.toml"
    )
    dit_config = config.parse(
        train_dit.Config, config.read_toml(training / "dit_tiny.toml"), where="dit_tiny.toml"
    )
    vae, dit, sound = out / "models" / "vae", out / "models" / "dit", out / "generated.wav"
    train_vae.train(vae_config, dataset, vae, resume="auto", progress=shown)
    last = train_dit.train(dit_config, dataset, str(vae), dit, resume="auto", progress=shown)
    asked = generation.Config(prompt=_PROMPT, seconds=_SECONDS, steps=20, seed=0, device="cpu")
    if not making.is_made(str(last), asked, sound):
        making.generate(str(last), asked, sound, shown, overwrite=True)
    return [
        f"[bold]model[/bold]        {dit}",
        f"[bold]sound[/bold]        {sound}   [dim]“{_PROMPT}”[/dim]",
        "",
        f"{vae_config.pace.steps} steps of a tiny VAE and {dit_config.pace.steps} of a tiny DiT: "
        "good for seeing that it works, for nothing else yet.",
        "The real one: manifests/training/vae.toml and dit.toml on many GPUs (README, “The real thing”).",
    ]
