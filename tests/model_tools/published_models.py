"""Models as they are published, a few kilobytes each: name of the file to content."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.external_data_helper import set_external_data
from safetensors.numpy import save

from tests.inference.bundles import SPECIALS, WORDS, bert_tokenizer
from tests.inference.graphs import table_model
from tests.model_tools.random_weights import TINY_DISTILBERT, Config, random_weights

Files = dict[str, bytes]

CARD = b"# A model\n\nMade for tests.\n"


def answering_model(*, unused_rows: int = 0) -> bytes:
    """An ONNX export whose answer is the word "answer"; an unused row makes it 8 bytes larger."""
    logits = [(0.0, 0.0)] * len(SPECIALS) + list(WORDS.values())
    table = np.array(logits + [(0.0, 0.0)] * unused_rows, np.float32)
    return table_model(table[:, 0], table[:, 1])


def export(*, unused_rows: int = 0, place: str = "onnx/model.onnx") -> Files:
    """A repository with an ONNX export, and what lies beside it there."""
    return {
        "README.md": CARD,
        "config.json": json.dumps(
            {"model_type": "distilbert", "max_position_embeddings": 64, "pad_token_id": 0}
        ).encode(),
        "tokenizer.json": tokenizer_file(list(WORDS)),
        place: answering_model(unused_rows=unused_rows),
        "onnx/model_quantized.onnx": b"quantized by an unknown method",
        "pytorch_model.bin": b"a pickle",
    }


def external_export(size: int = 0) -> Files:
    """An export whose weights lie beside the graph; `size` cuts their file."""
    model = onnx.load_from_string(answering_model())
    content = b""
    for tensor in model.graph.initializer:
        raw = numpy_helper.to_array(tensor).tobytes()
        set_external_data(tensor, "model.onnx_data", offset=len(content), length=len(raw))
        tensor.ClearField("raw_data")
        tensor.ClearField("float_data")
        content += raw
    files = export()
    files["onnx/model.onnx"] = model.SerializeToString()
    files["onnx/model.onnx_data"] = content[: size or None]
    return files


def safetensors(config: Config = TINY_DISTILBERT, *, head: bool = True) -> Files:
    """A repository with weights, and a tokenizer of as many words as the model has."""
    words = vocabulary(config["vocab_size"])
    return {
        "README.md": CARD,
        "LICENSE": b"Apache 2.0\n",
        "config.json": json.dumps(dict(config)).encode(),
        "tokenizer.json": tokenizer_file(words[len(SPECIALS) :]),
        "model.safetensors": save(random_weights(config, head=head), {"format": "pt"}),
    }


def vocabulary_alone(config: Config = TINY_DISTILBERT) -> Files:
    """As multilingual BERT ships: vocab.txt, and no tokenizer.json."""
    files = safetensors(config)
    del files["tokenizer.json"]
    words = vocabulary(config["vocab_size"])
    return {
        **files,
        "vocab.txt": "\n".join(words).encode(),
        "tokenizer_config.json": b'{"do_lower_case": true, "model_max_length": 12}',
    }


def vocabulary(size: int) -> list[str]:
    """BERT's special tokens, then letters and words."""
    words = [*WORDS, *"ijklmnopqrstuvwxyz", "who", "ada"]
    return [*SPECIALS, *words][:size]


def tokenizer_file(words: Sequence[str]) -> bytes:
    return bert_tokenizer(words).to_str().encode()


def write(directory: Path, files: Files) -> Path:
    """The files below `directory`."""
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return directory
