"""The real hub, and what the model card of the seed prints. Off unless TEST_REAL_HUB is set.

    TEST_REAL_HUB=1 TEST_SQUAD=dev-v1.1.json pytest tests/model_tools/hub/test_real_hub.py

Fetches some 260 MB into the hub client's own cache. HF_* variables count.
"""

import json
import os
from pathlib import Path

import pytest

from tests.model_tools.commands import Machine

REPO = "distilbert/distilbert-base-cased-distilled-squad"

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(not os.environ.get("TEST_REAL_HUB"), reason="TEST_REAL_HUB is not set"),
]

AS_THE_PIPELINE = {
    "QA_MODEL": "seed",
    "QA_MAX_TOKENS": "384",
    "QA_DOC_STRIDE": "128",
    "QA_MAX_ANSWER_TOKENS": "15",
    "QA_SCORE_NORMALIZATION": "per_window",
}
"""The defaults of the pipeline that printed the card's figures."""

# The card's two examples. Both contexts begin and end with a line break.
EXAMPLES = [
    (
        "What is a good example of a question answering dataset?",
        "\nExtractive Question Answering is the task of extracting an answer from a text given a "
        "question. An example of a\nquestion answering dataset is the SQuAD dataset, which is "
        "entirely based on that task. If you would like to fine-tune\na model on a SQuAD task, you "
        "may leverage the examples/pytorch/question-answering/run_squad.py script.\n",
        ("SQuAD dataset", 147, 160, 0.5152),
    ),
    (
        "Who is the CEO?",
        "\nAlice is sitting on the bench. Bob is sitting next to her.\n",
        ("Bob", 32, 35, 0.7527),
    ),
]

EM, F1 = 79.5998, 86.9965
"""On the dev set of SQuAD v1.1, from the card."""


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """With the model pulled."""
    ours = {name: value for name, value in os.environ.items() if name.startswith("HF_")}
    cache = {"HF_HOME": str(Path.home() / ".cache" / "huggingface")}
    machine = Machine(tmp_path_factory.mktemp("home"), variables={**cache, **ours})
    done = machine.run("model", "pull", REPO, "--name", "seed")
    assert done.code == 0, done.err
    return machine


@pytest.mark.parametrize(("question", "context", "expected"), EXAMPLES)
def test_model_card_examples(
    machine: Machine, question: str, context: str, expected: tuple[str, int, int, float]
) -> None:
    asked = ("ask", "--question", question, "--context", context, "--json")
    answer = json.loads(machine.run(*asked, **AS_THE_PIPELINE).out)
    text, start, end, score = expected
    assert (answer["answer"], answer["start"], answer["end"]) == (text, start, end)
    # The card rounds to four digits; the converted graph may differ by as little.
    assert answer["score"] == pytest.approx(score, abs=2e-4)


@pytest.mark.skipif(not os.environ.get("TEST_SQUAD"), reason="TEST_SQUAD names no file")
def test_model_card_scores(machine: Machine) -> None:
    done = machine.run("evaluate", os.environ["TEST_SQUAD"], **AS_THE_PIPELINE)
    assert done.code == 0, done.err
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in done.out.splitlines()]
    figures = {row[0]: row[1] for row in rows if len(row) == 2}
    # The pipeline adds up the scores of equal texts, which is not copied; that moves few answers.
    assert float(figures["EM"]) == pytest.approx(EM, abs=0.1)
    assert float(figures["F1"]) == pytest.approx(F1, abs=0.1)
