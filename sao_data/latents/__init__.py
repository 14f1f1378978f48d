"""A dataset's samples as latents: the folder's format, what writes, reads, checks and updates it.

It hands out `Latents` (`reader.open_latents`), which trainings stream from as they do from a dataset;
`part.bring`, which makes one shard of latents from one of a dataset; `folder.commit`, `verify.check` and
`update.follow`, which brings a folder to what its dataset has become. What a codec makes of audio is handed
in: nothing here knows of models.

Imports: the vocabulary, storage, audio, rights, dataset, loading.
"""
