"""`python -m deploy.strimzi.generate`: writes deploy/strimzi's topics and users."""

from deploy.strimzi.generate.resources import files

for path, text in files().items():
    path.write_text(text, "utf-8")
