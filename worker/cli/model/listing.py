"""`qa-worker model list`: the models in QA_MODELS, and the one that QA_MODEL selects."""

from pathlib import Path

from worker.cli.terminal import Table, print_line
from worker.models.bundle import DEFAULT_NAME, BundleError, read_manifest
from worker.models.manifest import Manifest
from worker.models.store import ModelStore
from worker.settings.environment import load


def list_models() -> None:
    """List the models: the default model, and those in QA_MODELS."""
    settings = load()
    store = ModelStore(settings.qa.models)
    names = [DEFAULT_NAME, *(name for name in store.names() if name != DEFAULT_NAME)]
    selected = settings.qa.model
    if selected not in names:
        names.append(selected)
    headings = ("", "Name", "Task", "Precision", "Size", "EM / F1", "Source")
    table = Table(*headings, unbroken={"", "Name"})
    for name in names:
        mark = "*" if name == selected else ""
        try:
            directory = store.resolve(name)
            manifest = read_manifest(directory)
        except BundleError as error:
            table.add_row(mark, name, str(error), style="red")
            continue
        table.add_row(mark, *_cells(name, directory, manifest))
    table.print()
    print_line(f"* selected by QA_MODEL; models are directories in {store.directory}")


def _cells(name: str, directory: Path, manifest: Manifest) -> list[str]:
    size = sum(
        path.stat().st_size for file in manifest.files if (path := directory / file).exists()
    )
    scores = [f"{each.exact_match:.2f} / {each.f1:.2f}" for each in manifest.scores[-1:]]
    commit = f"@{manifest.revision[:12]}" if manifest.revision else ""
    return [
        name,
        manifest.task,
        manifest.precision,
        f"{size / 1e6:,.1f} MB",
        *(scores or ["-"]),
        f"{manifest.source or '-'}{commit}",
    ]
