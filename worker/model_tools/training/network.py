"""The network in torch: opened from published weights, and written back under the same names.

The only module that imports transformers. torch and transformers have an environment of their own:
that of `make parity`.
"""

import json
import shutil
from pathlib import Path
from typing import TypeAlias

import torch
from safetensors.torch import load_file, save_file
from transformers import DistilBertConfig, DistilBertForQuestionAnswering

from worker.model_tools.training.batches import Batch

WEIGHTS = "model.safetensors"
COPIED = ("tokenizer.json", "vocab.txt")
CONFIG = "config.json"
LAYER = "distilbert.transformer.layer."

Network: TypeAlias = DistilBertForQuestionAnswering


def open_network(
    directory: Path, device: str, *, layer_repeats: int = 1, dropout: float = 0.0
) -> Network:
    """The network of `config.json` and `model.safetensors` of `directory`, in float32.

    With `layer_repeats` 2 every layer stands there twice, one after the other, with weights of its
    own. `dropout` is that of hidden states and attention. Raises `OSError`.
    """
    fields = json.loads((directory / CONFIG).read_text())
    layers = fields["n_layers"]
    fields |= {"n_layers": layers * layer_repeats}
    fields |= {"dropout": dropout, "attention_dropout": dropout}
    network = DistilBertForQuestionAnswering(DistilBertConfig(**fields))
    weights = {}
    for name, values in load_file(directory / WEIGHTS).items():
        number, _, rest = name.removeprefix(LAYER).partition(".")
        if name.startswith(LAYER):
            for repeat in range(layer_repeats):
                place = int(number) * layer_repeats + repeat
                weights[f"{LAYER}{place}.{rest}"] = values.float()
        else:
            weights[name] = values.float()
    network.load_state_dict(weights)
    return network.to(device)


def save_network(network: Network, directory: Path, source: Path) -> None:
    """Write the weights as float32, with the tokenizer of `source`. Raises `OSError`."""
    directory.mkdir(parents=True, exist_ok=True)
    weights = {name: each.float().contiguous().cpu() for name, each in network.state_dict().items()}
    save_file(weights, directory / WEIGHTS, metadata={"format": "pt"})
    fields = json.loads((source / CONFIG).read_text()) | {"n_layers": network.config.n_layers}
    (directory / CONFIG).write_text(json.dumps(fields, indent=2, sort_keys=True) + "\n")
    for name in COPIED:
        if (source / name).exists():
            shutil.copyfile(source / name, directory / name)


def log_probabilities(network: Network, batch: Batch, temperature: float = 1.0) -> torch.Tensor:
    """Of the tokens to be the answer's first (0) and last (1): (2, n, tokens), float32.

    Padding has the least finite value.
    """
    with torch.autocast("cuda", dtype=torch.bfloat16, enabled=batch.ids.is_cuda):
        output = network(input_ids=batch.ids, attention_mask=batch.mask.long())
    logits = torch.stack([output.start_logits, output.end_logits]).float() / temperature
    logits = logits.masked_fill(~batch.mask, torch.finfo(torch.float32).min / 2)
    return torch.nn.functional.log_softmax(logits, dim=-1)
