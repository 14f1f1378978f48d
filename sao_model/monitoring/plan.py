"""What a training will take before it is begun: memory, operations, hours, data, disk, how a batch divides.

All follows from the config by formulas (memory.py, flops.py) and from what is said of the machines. Beside
memory.py's counts, of numbers of 4 bytes:

    discriminators      16 bytes a parameter; 4.5 times their feature maps (of real and of made audio, before
                        and after the activation, and gradients of some)
    checkpointing       the codec keeps 14 A instead of 40 A (memory.py has A)
    frozen encoder      half of either
    several processes   4 bytes more a trained parameter: the buckets in which gradients go around (DDP)
    precision = "bf16"  2 bytes more a trained parameter, and half of the activations
    an adapter          plan_adapter.py
    a checkpoint        4 bytes for each averaged parameter, 16 for each trained one (weights, average,
                        moments), 12 in the discriminators; frozen parts once for all checkpoints of a run
"""

from __future__ import annotations

from dataclasses import dataclass

from sao_data.errors import UsageError
from sao_data.latents.reader import Latents
from sao_data.loading.source import TrainingSource
from sao_model import memory, preset, train_dit, train_vae
from sao_model.conditioners import t5
from sao_model.monitoring import flops, plan_adapter, plan_data
from sao_model.monitoring.plan_data import DataPlan, Settings
from sao_model.training import processes

GIB = 2**30
PAPER_HOURS = {"VAE, stage 1": 32 * 183, "VAE, stage 2": 32 * 273, "DiT": 64 * 338}  # A100-hours (4.1, 4.2)
_PEAK = {"bf16": 312.0, "no": 19.5}  # TFLOP/s of an A100, dense
_KEPT = {False: 40.0, True: 14.0}  # times A, of the codec without and with checkpointing
_FEATURES = 4.5  # times the discriminators' feature maps
_USABLE = 0.9  # of a GPU's memory; the rest is its context, libraries and fragments


@dataclass(frozen=True, slots=True, kw_only=True)
class Machines:
    """The machines."""

    gpus: int = 8
    gpu_memory: float = 80.0  # GiB
    tflops: float = 0.0  # a GPU's peak in TFLOP/s; 0: an A100's, 312 in bf16 and 19.5 in float32
    utilisation: float = 0.35  # of that peak; an assumption: the page of a run has samples per second

    def __post_init__(self) -> None:
        if self.gpus < 1 or self.gpu_memory <= 0 or self.tflops < 0 or not 0 < self.utilisation <= 1:
            raise UsageError(
                f"gpus {self.gpus}, gpu-memory {self.gpu_memory}, tflops {self.tflops}, utilisation "
                f"{self.utilisation}: want at least one GPU, some memory, and a share from 0 to 1"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterCount:
    """Numbers that are learned, and that are not."""

    trained: int
    frozen: int
    judges: int  # in the discriminators, trained as well


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPlan:
    """How a batch divides."""

    batch_size: int
    per_process: int
    accumulate: int
    at_a_time: int  # samples that a process has in memory
    fitting_accumulate: int  # least one with which a process's memory suffices; 0 = none does


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPlan:
    """Bytes in one process."""

    fixed: int  # weights, gradients, moments, averages, frozen parts, buckets
    per_sample: int  # activations
    saving: int
    total: int
    available: int
    parts: dict[str, int]  # of an adapter's training: what the fixed part consists of


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkPlan:
    """Operations and hours."""

    flops_per_sample: dict[str, float]  # by what does them, mean over steps
    flops: float  # of the whole training
    steps: int
    gpu_hours: float
    days: float  # on this cluster
    peak_tflops: float
    paper: str  # which of its trainings
    paper_hours: float  # A100-hours
    paper_utilisation: float  # of an A100's bf16 peak, had its training these steps and this batch


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskPlan:
    """Bytes of checkpoints."""

    checkpoint: int
    frozen: int  # once for all
    kept: int  # checkpoints at a time, one that is being written included
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPlan:
    """What one training takes."""

    kind: str
    model: str
    parameters: ParameterCount
    batch: BatchPlan
    memory: MemoryPlan
    work: WorkPlan
    data: DataPlan
    epochs: float
    disk: DiskPlan


def make(config: Settings, cluster: Machines, dataset: TrainingSource | None) -> TrainingPlan:
    """The plan of a training on a cluster; without a dataset, on the paper's."""
    shape = _shape(config)
    is_vae = isinstance(config, train_vae.Config)
    counted = plan_data.parameters(shape)
    encodes, parts = not isinstance(dataset, Latents), dict[str, int]()
    if isinstance(config, train_vae.Config):
        found, per_sample = _of_vae(config, shape, counted["vae"])
        operations, paper = _vae_flops(config, shape), f"VAE, stage {2 if config.freeze_encoder else 1}"
        kept_frozen = 0
    elif config.adapter:
        learned = plan_adapter.form(config, shape).parameters
        found = ParameterCount(trained=learned, frozen=sum(counted.values()), judges=0)
        per_sample = plan_adapter.per_sample(config, shape, encodes=encodes)
        parts, kept_frozen = plan_adapter.fixed(config, shape, counted), 0
        operations, paper = _dit_flops(config, shape, encodes=encodes), "DiT"
    else:
        trained = counted["dit"] + counted["conditioners"]
        frozen = counted["vae"] + counted["text_encoder"]
        found = ParameterCount(trained=trained, frozen=frozen, judges=0)
        activations = memory.dit_training(shape.dit, shape.num_latents, config.checkpointing)
        encoding = memory.codec_one_way(shape.codec, shape.num_latents) if encodes else 0
        per_sample = max(activations, encoding)
        operations, paper = _dit_flops(config, shape, encodes=encodes), "DiT"
        kept_frozen = 4 * (counted["vae"] + counted["text_encoder"] * plan_data.keeps_text(shape))
    if not parts:
        per_sample //= 2 if config.precision == "bf16" else 1
    needed, batch = _memory(config, cluster, found, per_sample, parts)
    data = plan_data.of_dataset(config, shape, dataset) if dataset else plan_data.of_paper(config)
    return TrainingPlan(
        kind="VAE" if is_vae else "DiT",
        model=shape.name,
        parameters=found,
        batch=batch,
        memory=needed,
        work=_work(config, cluster, operations, paper),
        data=data,
        epochs=config.pace.steps * config.batch_size / data.samples,
        disk=_disk(config, found, kept_frozen, counted["vae"] if is_vae else 0),
    )


def _shape(config: Settings) -> preset.Config:
    """Of the model: a preset's, or that of the checkpoint to start from."""
    if isinstance(config, train_vae.Config):
        return preset.read(config.model)
    return train_dit.start_settings(config).shape()


def _of_vae(config: train_vae.Config, shape: preset.Config, parameters: int) -> tuple[ParameterCount, int]:
    """ParameterCount, and activations of a window in bytes."""
    frames, discriminator = config.stream.window_frames, config.adversary.discriminator
    kept = _KEPT[config.checkpointing] / (2 if config.freeze_encoder else 1)
    codec = memory.codec_training(shape.codec, frames, kept=kept)
    judges = plan_data.num_judges(config)
    features = 4 * _FEATURES * flops.judges_numbers(discriminator, frames) if judges else 0
    frozen = plan_data.num_encoder(shape) if config.freeze_encoder else 0
    found = ParameterCount(trained=parameters - frozen, frozen=frozen, judges=judges)
    return found, int(codec + features)


def _vae_flops(config: train_vae.Config, shape: preset.Config) -> dict[str, float]:
    """Mean over the steps: codec and discriminators by turns, or both at every step."""
    steps, frames = config.pace.steps, config.stream.window_frames
    once = flops.of_codec(shape.codec, frames)
    judge = flops.of_judges(config.adversary.discriminator, shape.codec.num_channels, frames)
    late = max(steps - config.adversary.start, 0) if config.has_adversary else 0
    turns = late // 2 if config.adversary.turns == "alternating" else late
    learning = (steps - turns) if config.adversary.turns == "alternating" else steps
    judged = late - turns if config.adversary.turns == "alternating" else late
    encode = once.encode * (1 if config.freeze_encoder else 3)
    again = once.again * (1 if config.freeze_encoder else 2)
    return {
        "codec": learning / steps * (encode + 3 * once.decode),
        "again, by checkpointing": learning / steps * again * config.checkpointing,
        "codec for the discriminators' turn": turns / steps * (once.encode + once.decode),
        "discriminators": judged / steps * 3 * judge + turns / steps * 6 * judge,
    }


def _dit_flops(config: train_dit.Config, shape: preset.Config, *, encodes: bool) -> dict[str, float]:
    prompt = shape.prompt.config
    text = flops.of_text(prompt) if isinstance(prompt, t5.Config) else 0
    told = (prompt.max_tokens if isinstance(prompt, t5.Config) else 0) + 2
    again = flops.of_dit_again(shape.dit, shape.num_latents, told)
    return {
        # gradients only pass through the frozen layers of an adapter's model
        "DiT": (2.0 if config.adapter else 3.0) * flops.of_dit(shape.dit, shape.num_latents, told),
        "again, by checkpointing": float(again * config.checkpointing),
        "encoding": float(flops.of_codec(shape.codec, shape.num_frames).encode * encodes),
        "text": float(text),
    }


def _memory(
    config: Settings, cluster: Machines, found: ParameterCount, per_sample: int, parts: dict[str, int]
) -> tuple[MemoryPlan, BatchPlan]:
    """A process's memory, and with which `accumulate` it suffices."""
    processes.check_share(config.batch_size, config.accumulate, cluster.gpus)
    share = config.batch_size // cluster.gpus
    learned = found.trained + found.judges
    fixed = 20 * found.trained + 16 * found.judges + 4 * found.frozen
    fixed += 2 * learned * (config.precision == "bf16")
    fixed = (sum(parts.values()) or fixed) + 4 * learned * (cluster.gpus > 1)
    available = int(_USABLE * cluster.gpu_memory * GIB)
    saving = 4 * found.trained
    fitting = [
        parts
        for parts in range(1, share + 1)
        if share % parts == 0 and fixed + saving + share // parts * per_sample <= available
    ]
    at_a_time = share // config.accumulate
    total = fixed + saving + at_a_time * per_sample
    batch = BatchPlan(
        batch_size=config.batch_size,
        per_process=share,
        accumulate=config.accumulate,
        at_a_time=at_a_time,
        fitting_accumulate=min(fitting, default=0),
    )
    return MemoryPlan(
        fixed=fixed,
        per_sample=per_sample,
        saving=saving,
        total=total,
        available=available,
        parts=parts,
    ), batch


def _work(config: Settings, cluster: Machines, operations: dict[str, float], paper: str) -> WorkPlan:
    steps = config.pace.steps
    total = steps * config.batch_size * sum(operations.values())
    peak = cluster.tflops or _PEAK[config.precision]
    hours = total / (peak * 1e12 * cluster.utilisation) / 3600
    return WorkPlan(
        flops_per_sample=operations,
        flops=total,
        steps=steps,
        gpu_hours=hours,
        days=hours / cluster.gpus / 24,
        peak_tflops=peak,
        paper=paper,
        paper_hours=PAPER_HOURS[paper],
        paper_utilisation=total / (_PEAK["bf16"] * 1e12 * 3600 * PAPER_HOURS[paper]),
    )


def _disk(config: Settings, found: ParameterCount, frozen: int, whole_codec: int) -> DiskPlan:
    """`whole_codec`: parameters of a codec that is trained, its frozen encoder included."""
    averages = 4 * (whole_codec or found.trained)
    one = averages + 16 * found.trained + 12 * found.judges
    kept = config.pace.keep_last + config.pace.keep_best + 1
    return DiskPlan(checkpoint=one, frozen=frozen, kept=kept, total=kept * one + frozen)
