"""Where things lie, for tests: the repository, and real data beside it that not every machine has."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MANIFESTS = ROOT / "manifests"
SHARED = ROOT.parent / "shared" / "data"  # tests that need it skip without it
