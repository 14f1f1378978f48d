"""Where units of work run: in this process, or on a Ray cluster. The only package that knows of Ray.

It hands out `Executor` (map, service, a call on every node), its two kinds, and joining a cluster.

Imports: the vocabulary.
"""
