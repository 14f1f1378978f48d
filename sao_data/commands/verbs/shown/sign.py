"""Sign a version of a dataset: an Ed25519 signature over its root digest, which covers the manifest, every
shard, table and piece of evidence.

  sao sign DIR                          print the version in one line, to be published where others can see it
  sao sign DIR --make-key key.pem       write a new private key, print the public one
  sao sign DIR --key key.pem            sign; DIR/signature.json
  sao verify DIR --signature PUBLIC     check it: a file with the public key, or the text that is printed here

A key of ssh-keygen -t ed25519 will do as well. The passphrase of an encrypted key comes from the environment
(SAO_SIGNING_PASSPHRASE). A take-down makes another version, which is to be signed anew.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sao_data.errors import UsageError

HELP = "sign a version of a dataset"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dir", metavar="DIR", help="dataset directory or URL")
    parser.add_argument("--key", metavar="FILE", default="", help="private key to sign with")
    parser.add_argument("--make-key", metavar="FILE", default="", help="write a new private key there")


def run(args: argparse.Namespace) -> int:
    from sao_data.dataset.proofs import signature
    from sao_data.dataset.reader import open_dataset

    if args.key and args.make_key:
        raise UsageError("--key and --make-key: give one of them")
    dataset = open_dataset(args.dir)
    if args.make_key:
        public = signature.make_key(Path(args.make_key))
        sys.stdout.write(f"{args.make_key}: the private key, for nobody else\npublic key: {public}\n")
        return 0
    if args.key:
        with dataset.storage.lock():
            made = signature.sign(dataset, Path(args.key))
        sys.stdout.write(f"signed with the key whose public part is {made.public_key}\n")
    sys.stdout.write(f"{signature.line(dataset)}\n")
    return 0
