"""Signatures: Ed25519 (RFC 8032) over name, version and root digest of a dataset.

The root digest covers the manifest, every shard, table and piece of evidence: who signs it vouches for all of
them. What is signed is the text that `statement` gives; OUT/signature.json holds it with the public key.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from sao_data.dataset.reader import Dataset
from sao_data.errors import UsageError
from sao_data.storage import documents, layout

PASSPHRASE = "SAO_SIGNING_PASSPHRASE"  # of an encrypted key; a secret, so from the environment
_FORM = "sao-dataset-signature 1"
_FIX = "sign it again (sao sign)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """signature.json."""

    name: str
    version: str
    root_digest: str
    public_key: str  # base64 of its 32 bytes
    signature: str  # base64 of its 64 bytes


def line(dataset: Dataset) -> str:
    """The version in one line, to be published elsewhere."""
    facts = dataset.facts
    return f"{facts['name']} {facts['version']} sha256:{facts['root_digest']}"


def statement(name: str, version: str, root_digest: str) -> bytes:
    """What is signed."""
    return f"{_FORM}\n{name}\n{version}\n{root_digest}\n".encode()


def make_key(path: Path) -> str:
    """Write a new private key (PEM, readable by its owner only); the public one, as text."""
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    try:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise UsageError(f"{path}: is there already; give another file, a key is not written over") from error
    with os.fdopen(number, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    return _text(key.public_key())


def sign(dataset: Dataset, key_file: Path) -> Signature:
    """Sign this version; signature.json is published."""
    key, facts = _private(key_file), dataset.facts
    said = (str(facts["name"]), str(facts["version"]), str(facts["root_digest"]))
    made = Signature(
        name=said[0],
        version=said[1],
        root_digest=said[2],
        public_key=_text(key.public_key()),
        signature=base64.b64encode(key.sign(statement(*said))).decode(),
    )
    data = json.dumps(asdict(made), indent=1, sort_keys=True) + "\n"
    dataset.storage.write(layout.SIGNATURE, data.encode())
    return made


def finding(dataset: Dataset, public_key: str) -> str:
    """Why the dataset is not signed by this key; '' = it is. UsageError for a key that is none."""
    wanted, storage = _public(public_key), dataset.storage
    if not storage.exists(layout.SIGNATURE):
        return f"{layout.SIGNATURE}: missing; this version is not signed"
    where = f"{storage.url}/{layout.SIGNATURE}"
    made = documents.read(Signature, storage.read(layout.SIGNATURE), where=where, fix=_FIX)
    if made.public_key != _text(wanted):
        return f"{layout.SIGNATURE}: signed by another key, {made.public_key}"
    try:
        signed = statement(made.name, made.version, made.root_digest)
        wanted.verify(base64.b64decode(made.signature, validate=True), signed)
    except (InvalidSignature, binascii.Error):
        return f"{layout.SIGNATURE}: is not what this key signs; it was changed since"
    if (made.name, made.root_digest) != (dataset.facts["name"], dataset.facts["root_digest"]):
        this = f"{dataset.facts['name']} {dataset.facts['version']}"
        return (
            f"{layout.SIGNATURE}: is of {made.name} {made.version}, this is {this}: who signed that has not "
            "signed what was made of it since"
        )
    return ""


def _private(path: Path) -> Ed25519PrivateKey:
    if not path.is_file():
        raise UsageError(f"--key {path}: no such file; sao sign DIR --make-key {path} writes one")
    data, secret = path.read_bytes(), os.environ.get(PASSPHRASE, "").encode() or None
    is_ssh = b"OPENSSH PRIVATE KEY" in data
    load = serialization.load_ssh_private_key if is_ssh else serialization.load_pem_private_key
    try:
        key = load(data, password=secret)
    except TypeError as error:  # a passphrase that is missing, or is given for a key without one
        raise UsageError(f"--key {path}: {error}; its passphrase comes from {PASSPHRASE}") from error
    except ValueError as error:
        raise UsageError(f"--key {path}: no private key (PEM, OpenSSH), or a wrong passphrase") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError(f"--key {path}: a key of another kind; want Ed25519 (--make-key makes one)")
    return key


def _public(given: str) -> Ed25519PublicKey:
    """A public key from a file (PEM, or OpenSSH's .pub) or as `sao sign` prints it."""
    path = Path(given)
    try:
        if not path.is_file():
            return Ed25519PublicKey.from_public_bytes(base64.b64decode(given, validate=True))
        data = path.read_bytes()
        is_ssh = data.startswith(b"ssh-")
        load = serialization.load_ssh_public_key if is_ssh else serialization.load_pem_public_key
        key = load(data)
    except (ValueError, OSError) as error:
        raise UsageError(f"--signature {given}: no Ed25519 public key, and no file with one") from error
    if not isinstance(key, Ed25519PublicKey):
        raise UsageError(f"--signature {given}: a key of another kind; want Ed25519")
    return key


def _text(key: Ed25519PublicKey) -> str:
    return base64.b64encode(key.public_bytes_raw()).decode()
