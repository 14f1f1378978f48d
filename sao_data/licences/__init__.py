"""Licence claims in, decisions out: `parse` reads what a source says, `decide` holds it against the policy.

A claim is allowed only when every word of it is known and exactly one licence remains; all that the parser
knows lies as data in manifests/licences.toml. This gives facts, not legal advice.

Imports: the vocabulary.
"""

from sao_data.licences.claims import Licence, parse, parse_fields
from sao_data.licences.names import license_name, license_url
from sao_data.licences.policy import Policy, Release, decide, judge
from sao_data.licences.preference import meets, normalise_preference

VERSION = 4  # of the parser; raise it when a claim is read in another way

__all__ = [
    "VERSION",
    "Licence",
    "Policy",
    "Release",
    "decide",
    "judge",
    "license_name",
    "license_url",
    "meets",
    "normalise_preference",
    "parse",
    "parse_fields",
]
