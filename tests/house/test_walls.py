"""The walls of docs/design.md beside the order of packages: names, lengths, Ray, dependencies."""

import ast
import keyword
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions

from tests.house.tree import ROOT, SOURCES, below, imports, named, parsed, shown

MOST_LINES = 320
MOST_OF_A_FUNCTION = 48  # lines
MOST_OF_A_BUILDER = 65


def test_the_packages_know_only_their_neighbours() -> None:
    forbidden = {"sao_data": {"pipelines", "sao_model"}, "sao_model": {"pipelines"}, "pipelines": set()}
    wrong = []
    for path in SOURCES:
        unwanted = forbidden[path.relative_to(ROOT).parts[0]] | {"torchaudio", "torchcodec"}
        names = {module for module, _ in imports(path) if module.split(".")[0] in unwanted}
        wrong += [f"{shown(path)} imports {name}" for name in sorted(names)]
    assert not wrong


def test_imports_are_absolute() -> None:
    nodes = [(path, node) for path in SOURCES for node in ast.walk(parsed(path))]
    assert not [shown(path) for path, node in nodes if isinstance(node, ast.ImportFrom) and node.level]


def test_ray_is_spelled_in_the_execution_room_only_inside_functions() -> None:
    wrong = []
    for path in SOURCES:
        for module, node in imports(path):
            if module.split(".")[0] == "ray":
                inside = path.parent == ROOT / "sao_data" / "execution" and node.col_offset > 0
                wrong += [] if inside else [f"{shown(path)}:{node.lineno}"]
    assert not wrong


def test_importing_every_module_brings_nothing_heavy() -> None:
    modules = [named(path) for path in below("sao_data") if path.name != "__main__.py"]
    code = f"import importlib, sys\nfor m in {modules!r}: importlib.import_module(m)\n" + (
        "print(sorted({'torch', 'ray', 'transformers', 'librosa', 'datasets'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert result.stdout.strip() == "[]"


def test_no_file_is_named_like_the_standard_library_or_a_dependency() -> None:
    taken = (sys.stdlib_module_names | packages_distributions().keys()) - {"__main__"}
    assert not [shown(path) for path in SOURCES if path.stem in taken]


def test_pipelines_are_scripts_that_wire() -> None:
    for path in sorted((ROOT / "pipelines").glob("*.py")):
        text = path.read_text()
        assert text.startswith("#!/usr/bin/env python3\n"), f"{path}: no shebang"
        assert path.stat().st_mode & 0o111, f"{path}: not executable (`ray job submit {path.name}` runs it)"
        assert len(text.splitlines()) <= 80, f"{path}: more than wiring"
        assert not [n for n in ast.walk(parsed(path)) if isinstance(n, ast.ClassDef)], f"{path}: a class"


def test_manifests_hold_no_code() -> None:
    kinds = {p.suffix for p in (ROOT / "manifests").rglob("*") if p.is_file()}
    assert kinds <= {".toml", ".md", ".yaml", ".json"}  # JSON: bands of known-good curves


def test_modules_stay_small_and_say_what_they_are() -> None:
    lengths = {shown(path): len(path.read_text().splitlines()) for path in SOURCES}
    assert not {path: length for path, length in lengths.items() if length > MOST_LINES}, "two ideas?"
    assert not [shown(path) for path in SOURCES if not ast.get_docstring(parsed(path))], "no docstring"


def test_files_that_texts_in_the_sources_name_are_there() -> None:
    """A file that moves takes what is said of it along. `x.py` stands for any; two are other projects'."""
    there = "".join(f"/{shown(path)}\n" for path in (*SOURCES, *(ROOT / "tests").rglob("*.py")))
    others = {"soundfile.py", "data/utils.py", "features/audio.py", "sources/x.py", "pipelines/x.py"}
    wrong = [
        f"{shown(path)}: {name}"
        for path in SOURCES
        for name in set(re.findall(r"[\w/]+\.py\b", path.read_text())) - others
        if f"/{name}\n" not in there
    ]
    assert not wrong


def test_functions_fit_on_a_screen() -> None:
    wrong = []
    for path in SOURCES:
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.FunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > (MOST_OF_A_BUILDER if _only_builds(node) else MOST_OF_A_FUNCTION):
                    wrong.append(f"{shown(path)}:{node.lineno} {node.name} has {length} lines")
    assert not wrong


def _only_builds(node: ast.FunctionDef) -> bool:
    """A function that ends by building one record field by field may be long without being hard."""
    last = node.body[-1]
    call = last.value if isinstance(last, ast.Return | ast.Expr) else None
    return isinstance(call, ast.Call) and len(call.keywords) > 10


def test_every_verb_is_one_file_in_the_entry_points() -> None:
    points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["sao.verbs"]
    folders = ("sao_data/commands/verbs", "sao_model/verbs")
    files = {named(path) for folder in folders for path in (ROOT / folder).rglob("[a-z]*.py")}
    assert set(points.values()) == files
    # import_.py: a module cannot be called like a keyword
    called = {name: name.replace("-", "_") + "_" * keyword.iskeyword(name) for name in points}
    assert all(module.endswith("." + called[name]) for name, module in points.items())


def test_every_dependency_has_a_reason() -> None:
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    start = lines.index("dependencies = [") + 1
    for line in lines[start : lines.index("]", start)]:
        assert "#" in line, f"no reason: {line}"


# Declared though nothing here imports it: fixed by the design, and named as kept beside it.
KEPT = {"datasets", "webdataset"}


def test_every_dependency_is_imported_somewhere() -> None:
    """One that nothing imports is a download for nothing."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = {re.split(r"[^A-Za-z0-9_-]", text, maxsplit=1)[0] for text in declared}
    used = {module.split(".")[0] for path in SOURCES for module, _ in imports(path)}
    assert names - used == KEPT
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    assert all(any(f'"{name}' in line and "# kept" in line for line in lines) for name in KEPT)


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import contextlib, io, sys\n"
        "from sao_data.commands.main import main\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()): main(['--help'])\n"
        "print(sorted({'numpy', 'pyarrow', 'pydantic', 'rich', 'scipy', 'torch', 'ray'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert result.stdout.strip() == "[]"


def test_tests_mirror_the_packages() -> None:
    """A folder of tests is called like a package; what is tested as a whole stands at the root."""
    whole = {"adapters", "fakes", "house", "made_plugins", "model", "monitoring", "parity", "pipelines"}
    whole |= {"evaluation", "metrics", "training"}
    packages = {path.parent.name for path in below("sao_data")} - {"sao_data"}
    folders = {path.relative_to(ROOT / "tests").parts[0] for path in (ROOT / "tests").glob("*/test_*.py")}
    assert folders <= packages | whole
    root = {path.stem for path in below("sao_data") if path.parent == ROOT / "sao_data"}
    inner = {f"test_{path.stem}.py" for path in below("sao_data") if path.stem not in root}
    assert not {path.name for path in (ROOT / "tests").glob("test_*.py")} & inner
