"""The layout of a dataset directory: the only place that spells the names of its files (docs/dataset.md).

Here and not in the package dataset, since stages and rights, which it imports, have files there too.
"""

from __future__ import annotations

# who it belongs to and what it is: the first file written, and the last
OWNER = "owner.json"
DATASET = "dataset.json"
LOCK = "lock"

# published
SHARD_FOLDER = "shards"
SHARDS = "shards.parquet"
SAMPLES = "samples.parquet"
CATALOGUE = "catalogue.parquet"
MEASURES = "measures.parquet"  # of every clip that was measured; datasets made by earlier versions have none
SCREENING = "screening.parquet"  # what was asked of a screening service, and what came back
EVIDENCE = "evidence"
FINGERPRINTS = "fingerprints"
REPORT = "attribution"
CARD = "README.md"
CROISSANT = "croissant.json"
STATISTICS = "statistics.json"
SIGNATURE = "signature.json"  # of who vouches for a version (sao sign)
STATISTICS_PAGE = "statistics.html"

# what people ask for and answer
REVIEWS = "reviews.csv"
TAKEDOWNS = "takedowns.jsonl"
CREDITS = "credits.jsonl"
TERMS = "terms.json"  # terms of use that were accepted
ENCODINGS = "encodings"  # a file for each folder of latents made from the dataset: where that lies
HISTORY = "history"  # what earlier versions held, for checkpoints that heard them; not under the root digest
RECHECK = "recheck.csv"  # what the sources said otherwise when they were last asked

# unfinished work; the folder may be deleted
WORK = "work"
ORIGINALS = f"{WORK}/originals"  # transferred files, until they are packed
READINGS = f"{WORK}/readings"  # what sources said on a second look
ANSWERS = f"{WORK}/identify"  # of screening services
SOURCES = f"{WORK}/sources"  # what remote sources remember of their listings
REQUESTS = f"{WORK}/takedowns"  # hashes of requests that were carried out: their names are known no more
EVALUATION = f"{WORK}/decontaminate"  # what the audio of evaluation lists sounds like
SPOOL = f"{WORK}/spool"  # audio that a run is working on; gone when the next begins
SUPERSEDED = f"{WORK}/superseded.json"  # which version a run has withdrawn; gone when the next is there
JOURNAL = f"{WORK}/rewrite.json"  # there while the dataset is being changed in place
