"""The sandbox's child process: reads jobs as JSON lines from stdin, answers on stdout, and may crash on what
it decodes.
"""

from __future__ import annotations

import ctypes
import dataclasses
import gc
import io
import json
import os
import resource
import signal
import sys
import traceback
from pathlib import Path
from typing import Any, BinaryIO

from sao_data.audio import AudioConfig, AudioRejected, changes, chromaprint, convert, sinks
from sao_data.audio.containers import embedded
from sao_data.audio.containers.guarded import Guarded
from sao_data.audio.measuring import speech
from sao_data.audio.sandbox import Normalised, Probe
from sao_data.audio.segments import Cut
from sao_data.embedded_tag import EmbeddedTag

_PR_SET_PDEATHSIG = 1  # prctl(2)
_READ_AHEAD, _SHORT = 1 << 17, 1 << 22  # bytes


def main() -> None:
    """Serve jobs until stdin ends."""
    _die_with_parent(int(sys.argv[1]) if len(sys.argv) > 1 else os.getppid())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 1)  # decoders print; that must not pass for an answer
    settings = json.loads(sys.stdin.readline())
    config, cut = AudioConfig(**settings["audio"]), Cut(**settings["cut"])
    if config.speech:
        speech.SpeechMeter()  # loads the library: its memory is the idle child's
    _limit_memory(config.max_memory_bytes)
    gc.freeze()  # what has been imported stays: nobody needs to look through it again and again
    _say(answers, {"ready": True})
    os.dup2(devnull, 2)
    for line in sys.stdin:
        _say(answers, answer(json.loads(line), config, cut))


def answer(job: dict[str, str], config: AudioConfig, cut: Cut) -> dict[str, Any]:
    """Do one job; every outcome is an answer."""
    try:
        return {"ok": _do(job, config, cut)}
    except AudioRejected as error:
        return {"rejected": [error.reason, error.detail]}
    except MemoryError:
        mib = config.max_memory_bytes >> 20
        return {"rejected": ["too_large", f"decoding needs more than {mib} MiB of memory"]}
    except OSError as error:
        return {"os_error": [error.errno, error.strerror or str(error), error.filename]}
    except (
        ArithmeticError,
        AssertionError,
        AttributeError,
        LookupError,
        RuntimeError,
        TypeError,
        ValueError,
    ):
        return {"failed": traceback.format_exc()}  # a bug of ours: the parent raises it with this text


def _do(job: dict[str, str], config: AudioConfig, cut: Cut) -> Normalised | Probe:
    with _opened(Path(job["path"])) as file:
        if job["job"] == "probe":
            return _probe(*convert.normalise(file, config, lambda: sinks.MeterSink(speech=config.speech)))
        folder = Path(job["spool"])
        source, clips = convert.normalise(
            file, config, lambda: sinks.ClipSink(folder, cut, config.flac_compression, speech=config.speech)
        )
        clips.finish()
        tags = _tags(Guarded(file), source.container)
    return dataclasses.replace(_normalised(source, clips, cut), tags=tags)


def _opened(path: Path) -> BinaryIO:
    """A file to decode. A short one is read at once, since decoders ask for it in many small parts."""
    file = path.open("rb", buffering=_READ_AHEAD)
    if os.fstat(file.fileno()).st_size > _SHORT:
        return file
    with file:
        return io.BytesIO(file.read())


def _tags(file: Guarded, container: str) -> tuple[EmbeddedTag, ...]:
    tags = embedded.tags_of(file, container)
    file.check()
    return tags


def _probe(source: convert.Decoded, sink: sinks.MeterSink) -> Probe:
    return Probe(
        container=source.container,
        codec=source.codec,
        decoder=source.decoder,
        sample_rate=source.sample_rate,
        num_channels=source.num_channels,
        num_frames=source.num_frames,
        num_frames_out=source.num_frames_out,
        measures=sink.meter.finish(),
        source=source.measures,
        notes=source.notes,
    )


def _normalised(source: convert.Decoded, sink: sinks.ClipSink, cut: Cut) -> Normalised:
    words = sink.fingerprinter.finish()
    return Normalised(
        container=source.container,
        codec=source.codec,
        decoder=source.decoder,
        sample_rate=source.sample_rate,
        num_channels=source.num_channels,
        num_frames=source.num_frames,
        recording_frames=sink.num_frames,
        audio_sha256=sink.sha256.hexdigest(),
        fingerprint=chromaprint.encode(words),
        spectral_hash=sink.hasher.finish(words),
        changes=changes.sentences(
            source, num_trimmed=sink.num_trimmed, num_clips=len(sink.clips), max_seconds=cut.max_seconds
        ),
        clips=tuple(sink.clips),
        source=source.measures,
    )


def _say(answers: Any, message: dict[str, Any]) -> None:
    answers.write(json.dumps(message, default=_plain) + "\n")
    answers.flush()


def _plain(value: Any) -> Any:
    """A record as JSON has it, and the path of a clip."""
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return str(value)


def _die_with_parent(parent: int) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        sys.exit()


def _limit_memory(max_bytes: int) -> None:
    """Cap the address space at what the idle child has plus `max_bytes`; no core dumps."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + max_bytes
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main()
