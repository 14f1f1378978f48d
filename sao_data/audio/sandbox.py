"""The sandbox: decoding in one child process, because some files kill the process that decodes them.

The child is started on first use and kept; it has no environment of ours, a cap on memory and on CPU time,
and dies with its parent. What it says of a file is a fact (AudioRejected); a child that is killed from
outside, or a machine that stands still, is transient (SandboxLost, an OSError) and never a verdict.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import select
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from sao_data.audio import AudioConfig
from sao_data.audio.rejected import AudioRejected
from sao_data.audio.segments import Cut
from sao_data.embedded_tag import EmbeddedTag
from sao_data.measures import Measures, SourceMeasures
from sao_data.records import SeekPoint

CLIP_NAMES = "clip-{:04d}.flac"  # in the spool folder

_CHILD = "sao_data.audio.sandbox_worker"
_CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL)
# No tokens, no proxies. The last says where numba keeps what it compiled, if not beside the source.
_INHERITED = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TMPDIR", "NUMBA_CACHE_DIR")
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
_POLL_SECONDS = 0.5
_TICKS = os.sysconf("SC_CLK_TCK")  # per CPU second, in /proc/PID/stat


class SandboxLost(ChildProcessError):
    """The child was killed from outside or stood still; nothing is known about the file. Try again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredClip:
    """One clip as FLAC in the spool folder."""

    number: int
    start_frame: int  # in the normalised recording
    num_frames: int
    path: Path
    flac_sha256: str
    flac_bytes: int
    measures: Measures
    seek_points: tuple[SeekPoint, ...]  # every 10 s; byte offsets within the file


@dataclass(frozen=True, slots=True, kw_only=True)
class Normalised:
    """A recording at 44.1 kHz stereo, 16 bits."""

    container: str
    codec: str
    decoder: str  # "soundfile" or "pyav"
    sample_rate: int  # Hz, of the source
    num_channels: int  # of the source
    num_frames: int  # at sample_rate
    recording_frames: int  # at 44.1 kHz, after end-trim
    audio_sha256: str  # of the little-endian interleaved PCM of the whole normalised recording
    fingerprint: str  # Chromaprint of its first 120 s, compressed text; '' if it is shorter than 2.7 s
    spectral_hash: str  # of what is too short or too steady for Chromaprint; '' = silent, or neither
    changes: tuple[str, ...]
    clips: tuple[StoredClip, ...]
    source: SourceMeasures
    tags: tuple[EmbeddedTag, ...] = ()  # the file's own, about rights


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What a file is and what it would become, without keeping the audio."""

    container: str
    codec: str
    decoder: str
    sample_rate: int
    num_channels: int
    num_frames: int
    num_frames_out: int  # at 44.1 kHz
    measures: Measures  # of the whole normalised recording
    source: SourceMeasures
    notes: tuple[str, ...] = ()  # what was repaired, and what is missing


class Sandbox:
    """Normalises and probes files in a child process. Use as a context manager; one job at a time."""

    def __init__(self, audio: AudioConfig | None = None, cut: Cut | None = None) -> None:
        self._audio = audio or AudioConfig()
        self._cut = cut or Cut()
        self._child: subprocess.Popen[bytes] | None = None
        self._closed = False
        self._lock = threading.Lock()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the child; a closed sandbox takes no more jobs."""
        with self._lock:
            self._closed = True
            self._stop()

    def normalise(self, path: Path, spool: Path) -> Normalised:
        """Decode, resample, cut, measure and encode into `spool`, over the clips of the last file there."""
        try:
            answer = self._ask({"job": "normalise", "path": str(path), "spool": str(spool)})
        except (AudioRejected, OSError):
            for leftover in spool.glob("clip-*.flac"):
                leftover.unlink(missing_ok=True)
            raise
        clips = tuple(_stored_clip(clip) for clip in answer.pop("clips"))
        tags = tuple(EmbeddedTag(**tag) for tag in answer.pop("tags"))
        source = _source(answer.pop("source"))
        return Normalised(
            clips=clips, changes=tuple(answer.pop("changes")), tags=tags, source=source, **answer
        )

    def probe(self, path: Path) -> Probe:
        """Decode and measure a file."""
        answer = self._ask({"job": "probe", "path": str(path)})
        measures, source = Measures(**answer.pop("measures")), _source(answer.pop("source"))
        return Probe(measures=measures, source=source, notes=tuple(answer.pop("notes")), **answer)

    def _ask(self, job: dict[str, str]) -> dict[str, Any]:
        """The child's answer to a job; AudioRejected, OSError, or RuntimeError for a bug of ours."""
        with self._lock:
            if self._closed:
                raise ValueError("this sandbox is closed")
            answer = self._attempt(job) or self._attempt(job)
        if answer is None:
            raise AudioRejected("decoder_crashed", "the decoder crashed twice")
        if "rejected" in answer:
            raise AudioRejected(*answer["rejected"])
        if "os_error" in answer:
            raise OSError(*answer["os_error"])
        if "failed" in answer:
            raise RuntimeError(f"{job['path']}: the audio child failed:\n{answer['failed']}")
        result: dict[str, Any] = answer["ok"]
        return result

    def _attempt(self, job: dict[str, str]) -> dict[str, Any] | None:
        """One try; None if the child crashed on it."""
        child = self._running()
        try:
            _send(child, job)
            answer = self._receive(child, self._audio.allowed_cpu_seconds)
        except BaseException:  # whatever happened, this child is in an unknown state
            self._stop()
            raise
        if answer is not None:
            if answer.get("rejected", [""])[0] == "too_large":
                self._stop()  # its memory is in pieces
            return answer
        status = child.wait()
        self._stop()
        if status < 0 and -status not in _CRASHES:
            raise SandboxLost(f"the audio child was killed by {signal.Signals(-status).name}; try again")
        return None

    def _running(self) -> subprocess.Popen[bytes]:
        """The child, started if there is none alive."""
        if self._child is not None and self._child.poll() is None:
            return self._child
        self._stop()
        environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        environment |= _ONE_THREAD | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}
        command = [sys.executable, "-P", "-m", _CHILD, str(os.getpid())]
        self._child = child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, bufsize=0
        )
        try:
            _send(child, {"audio": dataclasses.asdict(self._audio), "cut": dataclasses.asdict(self._cut)})
            ready = self._receive(child, None)
        except BaseException:
            self._stop()
            raise
        if ready is None:
            status = child.wait()
            self._stop()
            raise SandboxLost(f"the audio child ended with status {status} before it was ready (see stderr)")
        return child

    def _receive(
        self, child: subprocess.Popen[bytes], max_cpu_seconds: float | None
    ) -> dict[str, Any] | None:
        """The next line from the child as JSON; None if it ended instead."""
        assert child.stdout is not None
        start = last = _cpu_seconds(child.pid)
        stalled = 0.0
        line = bytearray()
        while not line.endswith(b"\n"):
            if select.select([child.stdout], [], [], _POLL_SECONDS)[0]:
                part = os.read(child.stdout.fileno(), 1 << 16)
                if not part:
                    return None
                line += part
                continue
            used = _cpu_seconds(child.pid)
            # Counted in polls, not by the clock: a suspended machine is not a stalled child.
            stalled, last = (stalled + _POLL_SECONDS if used <= last else 0.0), used
            if max_cpu_seconds is not None and used - start > max_cpu_seconds:
                raise AudioRejected("decoder_timeout", f"more than {max_cpu_seconds:.0f} s of CPU time")
            if stalled > self._audio.max_stall_seconds:
                raise SandboxLost(
                    f"the audio child used no CPU for {stalled:.0f} s; is the disk or machine stuck?"
                )
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _stop(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe:
                with contextlib.suppress(OSError):
                    pipe.close()


def _send(child: subprocess.Popen[bytes], message: dict[str, Any]) -> None:
    assert child.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # it has just died: the receiver finds out how
        child.stdin.write(json.dumps(message).encode() + b"\n")


def _cpu_seconds(pid: int) -> float:
    """CPU time a process has used, all threads; 0 once it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return 0.0
    fields = stat[stat.rindex(b")") + 2 :].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS  # utime, stime (proc(5))


def _source(found: dict[str, Any]) -> SourceMeasures:
    return SourceMeasures(**found | {"dc": tuple(found["dc"])})


def _stored_clip(clip: dict[str, Any]) -> StoredClip:
    clip["path"] = Path(clip["path"])
    clip["measures"] = Measures(**clip["measures"])
    clip["seek_points"] = tuple(SeekPoint(**point) for point in clip["seek_points"])
    return StoredClip(**clip)
