"""A plan as people read it."""

from __future__ import annotations

from sao_model.monitoring.charts import shown
from sao_model.monitoring.plan import GIB, Machines, TrainingPlan

PAPER = "stable_audio_open"  # the model whose hours the paper tells


def lines(plan: TrainingPlan, machines: Machines) -> list[str]:
    """What the plan says, a line or two for each thing."""
    count, batch, disk = plan.parameters, plan.batch, plan.disk
    judges = f", {count.judges:,} in the discriminators" if count.judges else ""
    kind = " adapter" if plan.memory.parts else ""
    frozen = f", and frozen parts {_gb(disk.frozen)} once" if disk.frozen else ""
    return [
        f"{plan.kind}{kind} of {plan.model} on {machines.gpus} GPUs of {machines.gpu_memory:g} GiB",
        f"parameters    {count.trained:,} trained{judges}, {count.frozen:,} frozen",
        f"batch         {batch.batch_size} = {machines.gpus} processes x accumulate {batch.accumulate} x "
        f"{batch.at_a_time} at a time",
        *_memory(plan, machines),
        *_data(plan),
        *_work(plan, machines),
        f"checkpoints   {_gb(disk.checkpoint)} each; {disk.kept} at a time (pace.keep_last, keep_best, one "
        f"being written){frozen}: {_gb(disk.total)}",
    ]


def _memory(plan: TrainingPlan, machines: Machines) -> list[str]:
    """What a process needs, and what to do where it has less."""
    needed, batch = plan.memory, plan.batch
    said = [
        f"memory        {_gib(needed.total)} in a process: {_gib(needed.fixed)} of weights, "
        "gradients, moments and averages,",
        f"              {_gib(needed.saving)} while saving, {_gib(needed.per_sample)} a sample at a time",
    ]
    if needed.parts:
        each = ", ".join(f"{name} {_gib(size)}" for name, size in needed.parts.items())
        said.insert(1, f"              ({each})")
    has = f"{_gib(needed.available)} of {machines.gpu_memory:g} count"
    if needed.total <= needed.available:
        return [*said, f"              fits ({has})"]
    if batch.fitting_accumulate:
        return [
            *said,
            f"              DOES NOT FIT ({has}); with --set accumulate={batch.fitting_accumulate}, it does",
        ]
    more = "more GPUs or memory, a smaller model, or FSDP2, which divides the weights"
    return [*said, f"              DOES NOT FIT ({has}), nor with one sample at a time: {more}"]


def _data(plan: TrainingPlan) -> list[str]:
    data = plan.data
    what = "windows an epoch at most" if data.is_most else "windows an epoch"
    kind = "as 16-bit PCM; FLAC is smaller" if data.name == "the paper's" else "of shards"
    kind = "of latents, encoded once" if data.is_latents else kind
    return [
        f"data          {data.name}: {data.samples:,} {what}, {_gb(data.bytes)} {kind};",
        f"              {plan.work.steps:,} steps are {plan.epochs:,.1f} epochs",
    ]


def _work(plan: TrainingPlan, machines: Machines) -> list[str]:
    """The paper's hours only where the model is the paper's."""
    work = plan.work
    every = {name: value for name, value in work.flops_per_sample.items() if value}
    parts = ", ".join(f"{name} {value / 1e12:.3g}" for name, value in every.items())
    said = [
        f"operations    {sum(every.values()) / 1e12:.3g} TFLOP a sample ({parts}); {work.flops:.2e} in all",
        f"time          {shown(work.gpu_hours)} GPU-hours at {machines.utilisation:.0%} of "
        f"{work.peak_tflops:g} TFLOP/s: {shown(work.days)} days on these",
        "              (that share is assumed; the page of a run has its samples per second)",
    ]
    if plan.model != PAPER or plan.memory.parts:
        return said
    return [
        *said,
        f"              the paper's {work.paper}: {work.paper_hours:,} A100-hours, for steps that it does "
        f"not tell; with these, {work.paper_utilisation:.1%} of 312 TFLOP/s",
    ]


def _gib(num_bytes: int) -> str:
    return f"{num_bytes / GIB:,.1f} GiB" if num_bytes >= GIB // 2 else f"{num_bytes / 2**20:,.0f} MiB"


def _gb(num_bytes: int) -> str:
    """Disks are sold by powers of ten."""
    for unit, size in (("TB", 1e12), ("GB", 1e9)):
        if num_bytes >= size:
            return f"{num_bytes / size:,.1f} {unit}"
    return f"{num_bytes / 1e6:,.1f} MB"
