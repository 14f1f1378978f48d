from pathlib import Path

import pytest
import torch

from sao_data.errors import UsageError
from sao_model import devices

X86 = "processor\t: 0\nmodel name\t: AMD EPYC\nflags\t\t: fpu avx2 fma {}\nbugs\t\t: bf16\n"
CASES = [
    (X86.format(""), False),
    (X86.format("avx512f avx512_bf16"), True),
    (X86.format("amx_tile amx_bf16"), True),
    ("processor\t: 0\nFeatures\t: fp asimd i8mm bf16\n", True),
    ("", False),
]


@pytest.mark.parametrize(("text", "has"), CASES)
def test_bf16_is_refused_on_processors_that_emulate_it(tmp_path: Path, text: str, has: bool) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(text)
    assert devices.cpu_has_bf16(cpuinfo) is has
    if has:
        devices.check_precision("bf16", torch.device("cpu"), cpuinfo)
    else:
        with pytest.raises(UsageError, match=r"neither AMX nor AVX512-BF16.*precision=fp32"):
            devices.check_precision("bf16", torch.device("cpu"), cpuinfo)


def test_a_gpu_is_not_asked_and_a_system_that_does_not_say_has_none(tmp_path: Path) -> None:
    devices.check_precision("bf16", torch.device("cuda:0"), tmp_path / "absent")
    assert not devices.cpu_has_bf16(tmp_path / "absent")
