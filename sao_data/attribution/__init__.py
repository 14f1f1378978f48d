"""The attribution report, the dataset card and Croissant, as files made from rows: nothing is read or
written here.

It hands out `report.files`, `card`, `croissant`, the credit sentence (`credit`) and what the manifest's
policy means in words (`policy_text`).

Imports: the vocabulary, licences, storage, screening.
"""
