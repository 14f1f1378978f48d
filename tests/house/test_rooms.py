"""The order of the packages of sao_data: who imports whom, how large they are, what they say."""

import ast
import re
import subprocess
import sys
from collections import defaultdict

import pytest

from sao_data.storage import layout
from tests.house.tree import ROOT, arrows, below, imports, named, parsed, room, shown

# From the ground up: a module imports from its own room and from rooms on lines above its own.
ORDER = [
    [
        "__init__",
        "errors",
        "forms",
        "shipped",
        "embedded_tag",
        "measures",
        "ids",
        "records",
        "config",
        "plugins",
    ],
    ["storage", "licences", "audio"],
    ["execution", "fetch"],
    ["sources", "filters", "embedders", "captions"],
    ["matching", "rights", "screening", "captioners"],
    ["manifest", "attribution"],
    ["stages"],
    ["dataset"],
    ["loading"],
    ["latents"],
    ["revision"],
    ["showing"],
    ["ingest"],
    ["commands"],
    ["__main__"],
]
LEVEL = {name: level for level, names in enumerate(ORDER) for name in names}
VOCABULARY = set(ORDER[0]) | {"manifest"}
MOST_FILES = 15

# What the model may know of the data.
FOR_MODELS = VOCABULARY | {
    "storage", "licences", "audio", "embedders", "matching", "loading", "dataset", "latents",
}  # fmt: skip


def test_rooms_import_only_from_rooms_below_them() -> None:
    wrong = []
    for module, imported in arrows("sao_data").items():
        here = room(module)
        assert here in LEVEL, f"new room {here}: give it its place in ORDER"
        for other in imported:
            there = room(other)
            allowed = LEVEL[there] < LEVEL[here] or there == here or {there, here} <= VOCABULARY
            wrong += [] if allowed else [f"{module} imports {other}"]
    assert not wrong


def test_no_modules_import_each_other_in_a_circle() -> None:
    for package in ("sao_data", "sao_model"):
        graph = {module: set(imported) for module, imported in arrows(package).items()}
        while free := [module for module, imported in graph.items() if not imported & graph.keys()]:
            for module in free:
                del graph[module]
        assert not graph, f"in circles, or above one: {sorted(graph)}"


def test_models_know_only_a_few_rooms() -> None:
    wrong = []
    for path in below("sao_model"):
        if path.parent.name == "verbs":
            continue  # an entry point wires
        known = {module for module, _ in imports(path) if module.startswith("sao_data.")}
        wrong += [f"{shown(path)} imports {name}" for name in sorted(known) if room(name) not in FOR_MODELS]
    assert not wrong


def test_a_package_holds_at_most_some_fifteen_files() -> None:
    sizes = {
        shown(folder): len([p for p in folder.glob("*.py") if p.name != "__init__.py"])
        for top in ("sao_data", "sao_model")
        for folder in {path.parent for path in below(top)} - {ROOT / "sao_model"}
    }
    assert not {name: size for name, size in sizes.items() if size > MOST_FILES}


def test_a_package_says_what_it_is_for_and_what_it_imports() -> None:
    """The last paragraph of the docstring names the rooms, and no other."""
    wrong = []
    for folder in sorted({path.parent for path in below("sao_data")} - {ROOT / "sao_data"}):
        if folder.parent != ROOT / "sao_data":
            continue
        said = ast.get_docstring(parsed(folder / "__init__.py")) or ""
        match = re.fullmatch(r"Imports: ([a-z_, ]+)\.", " ".join(said.split("\n\n")[-1].split()))
        needed = {
            "the vocabulary" if room(other) in VOCABULARY else room(other)
            for module, imported in arrows("sao_data").items()
            if room(module) == folder.name
            for other in imported
        } - {folder.name}
        listed = set(match[1].split(", ")) if match else set()
        if listed != needed:
            wrong.append(f"{shown(folder)}/__init__.py: want “Imports: {', '.join(sorted(needed))}.”")
        if len(said.splitlines()) < 3:
            wrong.append(f"{shown(folder)}/__init__.py: what is it for?")
    assert not wrong, "\n".join(wrong)


def test_a_public_class_name_exists_once() -> None:
    """But for `Config`, which every plugin has."""
    found = defaultdict(list)
    for package in ("sao_data", "sao_model"):
        for path in below(package):
            for node in parsed(path).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    found[node.name].append(named(path))
    assert not {name: where for name, where in found.items() if len(where) > 1 and name != "Config"}


def test_only_the_layout_spells_the_names_of_a_datasets_files() -> None:
    """Neither a whole name nor the beginning of a path stands in quotes elsewhere, f-strings included."""
    spelled = {value for name, value in vars(layout).items() if name.isupper()}
    names = {value for value in spelled if re.search(r"\w[./]\w", value)} - {layout.CARD}
    folders = tuple(f"{value}/" for value in spelled if "." not in value)
    wrong = []
    for path in (path for path in below("sao_data") if path.name != "layout.py"):
        documented = {id(node.value) for node in ast.walk(parsed(path)) if isinstance(node, ast.Expr)}
        constants = [node for node in ast.walk(parsed(path)) if isinstance(node, ast.Constant)]
        for node in (node for node in constants if id(node) not in documented):
            text = node.value if isinstance(node.value, str) else ""
            if text in names or text.startswith(folders):
                wrong.append(f"{shown(path)}:{node.lineno} {text}")
    assert not wrong


@pytest.mark.parametrize(
    ("module", "rooms"),
    [
        ("sao_data.dataset.reader", {"dataset", "storage"}),
        (
            "sao_data.loading.stream",
            {"dataset", "storage", "loading", "audio", "captions", "rights"},
        ),
    ],
)
def test_what_reads_datasets_does_not_load_what_makes_them(module: str, rooms: set[str]) -> None:
    code = f"import sys, {module}; print(*sorted(m for m in sys.modules if m.startswith('sao_data.')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = {room(name) for name in done.stdout.split()}
    assert loaded - VOCABULARY <= rooms
