"""The codec without gradients, piece by piece: the same numbers in less time and memory.

Whole convolutions of 47 s move a gigabyte a layer through memory. Here the wide inner block, whose
dilated filters see nearly all of the ten latents on either side that one sample depends on, runs over long
stretches (few rows), and the outer blocks, which see less than one latent, in pieces that stay in the
processor's cache. What each layer needs of the one before is counted from kernel, dilation and stride, so
pieces are equal to the whole up to float32, and next to nothing is computed twice.

Activations are rows of channels: every strided or transposed filter is then a plain one over rows that are
cut or joined, which costs nothing.

    T rows (samples, latents, anything between)   C channels   K filter taps   S stride
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from itertools import accumulate, pairwise
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

Progress = Callable[[int, int], None]  # (pieces done, pieces in all)

_BLOCK = 1024  # rows that are multiplied at a time: larger products leave the cache


class Span(NamedTuple):
    """Rows [start, end) of a sequence."""

    start: int
    end: int

    def within(self, length: int) -> Span:
        """The part inside a sequence of `length` rows."""
        return Span(max(self.start, 0), min(self.end, length))


class Layer(Protocol):
    """A part of the codec that can compute some rows of its output from some of its input."""

    def length(self, num_rows: int) -> int:
        """Rows of output for rows of input."""
        ...

    def needs(self, wanted: Span) -> Span:
        """Rows of input that rows of output depend on, also those before the first and after the last."""
        ...

    def rows(self, x_TC: Tensor, have: Span, wanted: Span) -> Tensor:
        """Rows `wanted`, from the input's rows `have`: all that are needed and exist."""
        ...


class SnakeRows:
    """Snake: x + sin²(ax)/b."""

    def __init__(self, alpha: Tensor, beta: Tensor) -> None:
        self.alpha_C = alpha.detach().exp()
        self.root_C = (1 / (beta.detach().exp() + 1e-9)).sqrt()

    def length(self, num_rows: int) -> int:
        return num_rows

    def needs(self, wanted: Span) -> Span:
        return wanted

    def rows(self, x_TC: Tensor, have: Span, wanted: Span) -> Tensor:
        return self(x_TC)

    def __call__(self, x_TC: Tensor) -> Tensor:
        y_TC = torch.mul(x_TC, self.alpha_C).sin_().mul_(self.root_C)
        return torch.addcmul(x_TC, y_TC, y_TC, out=y_TC)


class ConvRows:
    """A convolution of stride 1 that keeps the length."""

    def __init__(self, conv: nn.Conv1d) -> None:
        self.kernel, self.dilation = conv.kernel_size[0], conv.dilation[0]
        self.weight = _filters(_taps_first(conv.weight).transpose(0, 1))
        self.bias = None if conv.bias is None else conv.bias.detach()

    def length(self, num_rows: int) -> int:
        return num_rows

    def needs(self, wanted: Span) -> Span:
        side = self.dilation * (self.kernel - 1) // 2
        return Span(wanted.start - side, wanted.end + side)

    def rows(self, x_TC: Tensor, have: Span, wanted: Span) -> Tensor:
        return _filtered(_padded(x_TC, have, self.needs(wanted)), self.weight, self.bias, self.dilation)


class UnitRows:
    """A residual unit: snake, dilated convolution, snake, 1x1 convolution, and the input added."""

    def __init__(self, snake1: SnakeRows, conv1: ConvRows, snake2: SnakeRows, conv2: nn.Conv1d) -> None:
        assert conv2.bias is not None
        self.snake1, self.conv1, self.snake2 = snake1, conv1, snake2
        self.weight_CC = conv2.weight.detach()[:, :, 0].t().contiguous()
        self.bias_C = conv2.bias.detach()

    def length(self, num_rows: int) -> int:
        return num_rows

    def needs(self, wanted: Span) -> Span:
        return self.conv1.needs(wanted)

    def rows(self, x_TC: Tensor, have: Span, wanted: Span) -> Tensor:
        y_TC = self.conv1.rows(self.snake1(x_TC), have, wanted)
        x_TC = x_TC[wanted.start - have.start : wanted.end - have.start]
        for x, y in zip(torch.split(x_TC, _BLOCK), torch.split(y_TC, _BLOCK), strict=True):
            torch.addmm(x, self.snake2(y), self.weight_CC, out=y).add_(self.bias_C)
        return y_TC


class DownRows:
    """A convolution of 2S taps and stride S: two taps over rows of S joined."""

    def __init__(self, conv: nn.Conv1d) -> None:
        self.stride = conv.stride[0]
        taps = _taps_first(conv.weight).transpose(0, 1)  # (out, 2S, in)
        self.weight = _filters(taps.reshape(len(taps), 2, -1))
        self.bias = None if conv.bias is None else conv.bias.detach()

    def length(self, num_rows: int) -> int:
        return num_rows // self.stride

    def needs(self, wanted: Span) -> Span:
        side = self.stride // 2
        return Span(wanted.start * self.stride - side, wanted.end * self.stride + side)

    def rows(self, x_TC: Tensor, have: Span, wanted: Span) -> Tensor:
        x_TC = _padded(x_TC, have, self.needs(wanted))
        return _filtered(x_TC.reshape(len(x_TC) // self.stride, -1), self.weight, self.bias)


class UpRows:
    """A transposed convolution of 2S taps and stride S: two taps to S rows joined, half of them too many at
    either end."""

    def __init__(self, conv: nn.ConvTranspose1d) -> None:
        self.stride = conv.stride[0]
        weight_OIK = conv.weight.detach()  # here (in, out, 2S)
        taps = weight_OIK.flatten(1).t().contiguous().view(-1, 2, self.stride, len(weight_OIK))
        later, before = taps.transpose(0, 2).unbind(1)  # (S, out, in) each
        weight = taps.new_empty(*later.shape[:2], 2, later.shape[2])
        weight[:, :, 0], weight[:, :, 1] = before, later
        self.weight = _filters(weight.flatten(0, 1))
        self.bias = None if conv.bias is None else conv.bias.detach().repeat(self.stride)

    def length(self, num_rows: int) -> int:
        return num_rows * self.stride

    def needs(self, wanted: Span) -> Span:
        side = self.stride // 2
        return Span((wanted.start - side) // self.stride, (wanted.end - 1 + side) // self.stride + 1)

    def rows(self, x_TC: Tensor, have: Span, wanted: Span) -> Tensor:
        needed = self.needs(wanted)
        y_TC = _filtered(_padded(x_TC, have, needed), self.weight, self.bias)
        start = (needed.start + 1) * self.stride - self.stride // 2  # the first row only helps the next
        return y_TC.reshape(len(y_TC) * self.stride, -1)[wanted.start - start : wanted.end - start]


class Section(NamedTuple):
    """Layers that run one after the other over pieces of a sequence."""

    layers: list[Layer]
    latents: int  # that a piece is long


class Task(NamedTuple):
    """A section's part of one stretch."""

    layers: list[Layer]
    num_rows: int  # of the whole input
    have: Span  # of the input
    pieces: list[Span]  # of the output, side by side


@torch.no_grad()
def run(
    x_BCT: Tensor, sections: Sequence[Section], progress: Progress | None = None, end: int | None = None
) -> Tensor:
    """What the sections make of `x_BCT`, stretch by stretch (the longest pieces), each through all sections:
    no more is held than the sections' outputs over one stretch. Rows from `end` on are not computed."""
    stretches, num_rows = plan(sections, x_BCT.shape[-1], end)
    done, total = 0, len(x_BCT) * sum(len(task.pieces) for tasks in stretches for task in tasks)

    def count() -> None:
        nonlocal done
        done += 1
        if progress:
            progress(done, total)

    out_BCT = x_BCT.new_empty(0)
    with torch.autocast(x_BCT.device.type, enabled=False):  # in the weights' precision, as asked
        for i, x_CT in enumerate(x_BCT):
            x_TC = x_CT.t().contiguous()
            for tasks in stretches:
                y_TC = x_TC[slice(*tasks[0].have)]
                for task in tasks:
                    y_TC = _through(task, y_TC, count)
                if not out_BCT.numel():
                    out_BCT = y_TC.new_empty(len(x_BCT), y_TC.shape[1], num_rows)
                out_BCT[i, :, tasks[-1].pieces[0].start : tasks[-1].pieces[-1].end] = y_TC.t()
    return out_BCT


def plan(sections: Sequence[Section], num_rows: int, end: int | None = None) -> tuple[list[list[Task]], int]:
    """Every stretch's tasks for an input of `num_rows`, and the rows of output before `end`."""
    lengths = [num_rows]
    for section in sections:
        lengths.append(reduce(_next_length, section.layers, lengths[-1]))
    rows = [length // min(lengths) for length in lengths[1:]]  # a latent, of each section's output
    longest = max(section.latents for section in sections) * rows[-1]
    stretches = []
    num_wanted = lengths[-1] if end is None else min(end, lengths[-1])
    for wanted in _cut(Span(0, num_wanted), longest):
        tasks: list[Task] = []
        for section, length, num in reversed(list(zip(sections, lengths, rows, strict=False))):
            have = demands(section.layers, wanted, length)[0]
            tasks.insert(0, Task(section.layers, length, have, _cut(wanted, section.latents * num)))
            wanted = have
        stretches.append(tasks)
    return stretches, num_wanted


def demands(layers: Sequence[Layer], wanted: Span, num_rows: int) -> list[Span]:
    """What rows `wanted` of the output take: of the input (of `num_rows`), and of every layer's output."""
    lengths = list(accumulate(layers, _next_length, initial=num_rows))
    spans = [wanted]
    for layer, length in zip(reversed(layers), lengths[-2::-1], strict=True):
        spans.append(layer.needs(spans[-1]).within(length))
    return spans[::-1]


def _through(task: Task, x_TC: Tensor, count: Callable[[], None]) -> Tensor:
    start, end, out_TC = task.pieces[0].start, task.pieces[-1].end, x_TC
    for piece in task.pieces:
        spans = demands(task.layers, piece, task.num_rows)
        y_TC = x_TC[spans[0].start - task.have.start : spans[0].end - task.have.start]
        for layer, (have, want) in zip(task.layers, pairwise(spans), strict=True):
            y_TC = layer.rows(y_TC, have, want)
        if piece.start == start:
            out_TC = y_TC.new_empty(end - start, y_TC.shape[1])
        out_TC[piece.start - start : piece.end - start] = y_TC
        count()
    return out_TC


def _next_length(length: int, layer: Layer) -> int:
    return layer.length(length)


def _cut(span: Span, size: int) -> list[Span]:
    return [Span(start, min(start + size, span.end)) for start in range(span.start, span.end, size)]


def _padded(x_TC: Tensor, have: Span, needed: Span) -> Tensor:
    """Zeros where a sequence has no rows."""
    before, after = have.start - needed.start, needed.end - have.end
    return pad(x_TC, (0, 0, before, after)) if before or after else x_TC


def _taps_first(weight_OIK: Tensor) -> Tensor:
    """(K, O, I): a transposed matrix and rows of it, which copies faster than three exchanged dimensions."""
    return weight_OIK.detach().flatten(0, 1).t().contiguous().view(-1, *weight_OIK.shape[:2])


def _filters(weight_OKI: Tensor) -> Tensor:
    """As a picture's filters of height 1, channels last."""
    return weight_OKI.contiguous().transpose(1, 2)[:, :, None]


def _filtered(x_TC: Tensor, weight: Tensor, bias: Tensor | None, dilation: int = 1) -> Tensor:
    x_1C1T = x_TC.t()[None, :, None]  # a picture of height 1, its channels last
    return conv2d(x_1C1T, weight, bias, dilation=(1, dilation))[0, :, 0].t()
