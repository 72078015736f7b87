"""`python -m schemas.generate`: writes every file of `schemas/published`."""

from schemas.generate.files import PUBLISHED, files

for name, text in files().items():
    (PUBLISHED / name).write_text(text, "utf-8")
