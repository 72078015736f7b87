"""Joins an ONNX export and the files that hold its weights: a bundle has them in one file.

Exporters write weights into files beside the graph (`model.onnx_data`), above 2 GB by necessity.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import onnx
from onnx.external_data_helper import ExternalDataInfo, uses_external_data

from worker.models.bundle import BundleError

MAX_BYTES = 2**31 - 2**20
"""Of weights: a protobuf message holds 2 GiB, and the nodes take less than 1 MiB."""


def external_files(model_file: Path) -> tuple[str, ...]:
    """The files beside `model_file` that hold its weights, in alphabetical order.

    None for a file that is not a graph. Raises `BundleError` for a file in another directory.
    """
    try:
        model = onnx.load(model_file, load_external_data=False)
    except Exception:
        # `inspect_graph` says what is wrong with it.
        return ()
    names = {ExternalDataInfo(tensor).location for tensor in _external_tensors(model.graph)}
    for name in names:
        if Path(name).name != name:
            raise BundleError(f"{model_file}: its weights are in {name!r}, not beside it")
    return tuple(sorted(names))


def copy_graph(source: Path, target: Path) -> None:
    """Copy an export, with its weights in the same file. Raises `BundleError`, `OSError`."""
    if not external_files(source):
        shutil.copyfile(source, target)
        return
    model = onnx.load(source, load_external_data=False)
    total = 0
    for tensor in _external_tensors(model.graph):
        content = _read(source, ExternalDataInfo(tensor))
        total += len(content)
        if total > MAX_BYTES:
            raise BundleError(
                f"{source}: its weights take more than {MAX_BYTES / 1e9:.2f} GB; one ONNX file "
                "does not hold them"
            )
        tensor.raw_data = content
        tensor.ClearField("external_data")
        tensor.data_location = onnx.TensorProto.DEFAULT
    onnx.save(model, target)


def _read(source: Path, data: ExternalDataInfo) -> bytes:
    """Read here: `onnx` refuses symbolic links, as the hub client's cache has them."""
    path = source.with_name(data.location)
    if not path.is_file():
        raise BundleError(f"{source}: its weights are in {data.location}, which is missing")
    with path.open("rb") as file:
        file.seek(data.offset or 0)
        content = file.read(data.length if data.length is not None else -1)
    if data.length is not None and len(content) < data.length:
        raise BundleError(f"{path}: ends before the weights of {source.name}; download it again")
    return content


def _external_tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    for tensor in graph.initializer:
        if uses_external_data(tensor):
            yield tensor
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t") and uses_external_data(attribute.t):
                yield attribute.t
            if attribute.HasField("g"):
                yield from _external_tensors(attribute.g)
