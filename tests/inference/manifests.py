"""Manifests of bundles that do not exist, for what reads a manifest only."""

from typing import Any

from worker.models.manifest import REQUIRED, Calibration, Manifest


def manifest(**fields: Any) -> Manifest:
    return Manifest.model_validate(
        {
            "task": "question-answering",
            "name": "tiny",
            "precision": "float32",
            "batch_invariant": True,
            "files": dict.fromkeys(REQUIRED, "0" * 64),
            "inputs": ["input_ids", "attention_mask"],
            "outputs": ["start_logits", "end_logits"],
            "max_tokens": 32,
            **fields,
        }
    )


def calibration(
    *, temperature: float = 1.0, no_answer_threshold: float | None = None
) -> Calibration:
    return Calibration(
        data="dev.json",
        questions=1000,
        temperature=temperature,
        no_answer_threshold=no_answer_threshold,
        ece_before=0.1,
        ece_after=0.01,
        brier_before=0.2,
        brier_after=0.15,
        decoder="windows of 32 tokens",
    )
