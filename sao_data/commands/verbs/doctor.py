"""Is this machine ready? Python, torch, decoders, disk, Ray: each ✗ comes with the line that fixes it.

Exit code 0: ready. 1: something is missing.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

HELP = "check this machine: decoders, torch, disk, Ray"

_GIGABYTE = 1e9
_ROOM = 5.0  # GB free below which a first dataset will not fit


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing looked at."""

    name: str
    ok: bool
    found: str
    fix: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", metavar="DIR", default=".", help="where datasets will go (its disk is looked at)"
    )


def run(args: argparse.Namespace) -> int:
    failed = 0
    for check in checks(Path(args.out)):
        sys.stdout.write(f"{'✓' if check.ok else '✗'} {check.name:12s} {check.found}\n")
        if not check.ok:
            failed += 1
            sys.stdout.write(f"  {'':12s} fix: {check.fix}\n")
    sys.stdout.write("ready\n" if not failed else f"{failed} to fix\n")
    return 1 if failed else 0


def checks(out: Path) -> Iterator[Check]:
    """Look at one thing after the other."""
    yield _python()
    yield from _packages()
    yield _torch()
    yield _decoders()
    yield _disk(out)
    yield _cores()
    yield from _ray()


def _python() -> Check:
    found = ".".join(str(part) for part in sys.version_info[:3])
    fix = "install Python 3.11 or newer and run `make clean install`"
    return Check(name="python", ok=sys.version_info >= (3, 11), found=f"{found} ({sys.executable})", fix=fix)


def _packages() -> Iterator[Check]:
    for name in ("webdataset", "datasets", "transformers", "accelerate", "pyarrow", "pyloudnorm", "librosa"):
        try:
            yield Check(name=name, ok=True, found=version(name))
        except PackageNotFoundError:
            yield Check(name=name, ok=False, found="not installed", fix="make install (or: pip install -e .)")


def _torch() -> Check:
    fix = "pip install torch==2.13.0"
    if importlib.util.find_spec("torch") is None:
        return Check(name="torch", ok=False, found="not installed", fix=fix)
    try:
        import torch
    except (ImportError, OSError) as error:
        return Check(name="torch", ok=False, found=f"does not load: {error}", fix=fix)
    device = (
        torch.cuda.get_device_name(0)
        if torch.cuda.is_available()
        else "CPU only (enough for data, not for training)"
    )
    return Check(name="torch", ok=True, found=f"{torch.__version__}, {device}")


def _decoders() -> Check:
    """Really decode something: an import alone proves little."""
    import io

    try:
        import av
        import numpy as np
        import soundfile
        import soxr
    except (ImportError, OSError) as error:
        fix = "pip install --force-reinstall soundfile av soxr"
        return Check(name="decoders", ok=False, found=f"do not load: {error}", fix=fix)
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros((4800, 2), dtype=np.int16), 48_000, format="FLAC")
    buffer.seek(0)
    decoded, rate = soundfile.read(buffer, dtype="float32")
    num_frames = len(soxr.resample(decoded, rate, 44_100))
    found = f"libsndfile {soundfile.__libsndfile_version__}, PyAV {av.__version__}, soxr {version('soxr')}"
    return Check(
        name="decoders",
        ok=num_frames == 4410,
        found=found,
        fix="pip install --force-reinstall soundfile soxr",
    )


def _disk(out: Path) -> Check:
    folder = next(path for path in (out.absolute(), *out.absolute().parents) if path.exists())
    free = shutil.disk_usage(folder).free / _GIGABYTE
    writable = os.access(folder, os.W_OK)
    found = f"{free:.0f} GB free at {folder}" + ("" if writable else ", not writable")
    fix = (
        "choose another disk with --out (a first dataset wants 5 GB)"
        if writable
        else f"chmod u+w {folder}, or another --out"
    )
    return Check(name="disk", ok=writable and free >= _ROOM, found=found, fix=fix)


def _cores() -> Check:
    return Check(name="cores", ok=True, found=f"{len(os.sched_getaffinity(0))} usable of {os.cpu_count()}")


def _ray() -> Iterator[Check]:
    from sao_data.execution.ray_cluster import TOKEN_FIX

    if importlib.util.find_spec("ray") is None:
        fix = "pip install 'ray[default]', or use --executor local"
        yield Check(name="ray", ok=False, found="not installed", fix=fix)
        return
    yield Check(name="ray", ok=True, found=f"{version('ray')}, {_ray_address()}")
    token = Path.home() / ".ray" / "auth_token"
    mode = os.environ.get("RAY_AUTH_MODE", "")
    if token.exists() and not mode:
        yield Check(
            name="ray token", ok=False, found=f"{token} exists, RAY_AUTH_MODE is not set", fix=TOKEN_FIX
        )
    job = importlib.util.find_spec("aiohttp") is not None
    fix = "pip install 'ray[default]': plain ray has no job server"
    yield Check(name="ray job", ok=job, found="can submit" if job else "job server is not installed", fix=fix)


def _ray_address() -> str:
    address = os.environ.get("RAY_ADDRESS")
    if address:
        return f"RAY_ADDRESS={address}"
    return "no RAY_ADDRESS: joins a local cluster, or starts one"
