"""The attribution report: rows, templates and the files written from them."""
