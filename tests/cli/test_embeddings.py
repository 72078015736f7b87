"""The commands with a model for embeddings: they take the task from the bundle."""

import json
from pathlib import Path

import numpy as np
import pytest

from schemas.embedding import Embedding
from tests.cli.conftest import Command
from tests.inference.embeddings import DIMS, expected, write_embedding_bundle
from worker.models.manifest import Pooling

LINES = [
    {"id": "first", "text": "answer a", "metadata": {"n": 10**30}},
    {"text": "b c d"},
    {"id": "question", "question": "a", "context": "b"},
    {"id": "blank", "text": " "},
    {"id": "last", "text": "b " * 100},
]


@pytest.fixture
def embedding_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = write_embedding_bundle(tmp_path / "tiny")
    monkeypatch.setenv("QA_MODEL", str(directory))
    return directory


@pytest.fixture
def texts(tmp_path: Path, embedding_model: Path) -> Path:
    file = tmp_path / "texts.jsonl"
    file.write_text("\n".join(map(json.dumps, LINES)))
    return file


@pytest.fixture
def target(texts: Path) -> Path:
    return texts.with_suffix(".embeddings.jsonl")


def test_read_writes_an_embedding_for_each_text(
    command: Command, texts: Path, target: Path
) -> None:
    done = command("read", texts)
    assert (done.code, done.out) == (1, "")
    assert "5 read, 0 already done" in done.err
    assert "2 of 5 events are rejected, the first in line 3: schema: text: " in done.err
    outcomes = [json.loads(line) for line in target.read_bytes().splitlines()]
    assert [each["id"] for each in outcomes] == ["first", "line-2", "question", "blank", "last"]
    first = Embedding.model_validate(outcomes[0])
    assert first.metadata == {"n": 10**30}
    np.testing.assert_allclose(first.embedding, expected(["answer", "a"], Pooling()), atol=1e-6)
    assert outcomes[4]["windows"] == 10


def test_a_question_is_rejected_by_an_embedding_model(
    command: Command, texts: Path, target: Path
) -> None:
    command("read", texts)
    third = json.loads(target.read_bytes().splitlines()[2])
    assert third["rejected"] == {
        "reason": "schema",
        "detail": "text: Field required; this worker accepts texts to embed",
    }


def test_read_resumes_embeddings_after_any_cut(command: Command, texts: Path, target: Path) -> None:
    command("read", texts)
    whole = target.read_bytes()
    ends = [at + 1 for at, byte in enumerate(whole) if byte == ord("\n")]
    for cut in [0, 3, ends[0] - 1, ends[0], ends[1] + 40, ends[2], ends[3] + 1, ends[4]]:
        target.write_bytes(whole[:cut])
        done = command("read", texts)
        assert (done.code, target.read_bytes() == whole) == (1, True), f"cut at {cut}"


def test_read_never_appends_embeddings_to_answers(
    command: Command, texts: Path, target: Path
) -> None:
    kept = b'{"id":"first","answer":"a","start":0,"end":1}\n'
    target.write_bytes(kept)
    done = command("read", texts)
    assert done.code == 2
    assert f"{target}.run.json is missing" in done.err
    assert target.read_bytes() == kept


@pytest.mark.usefixtures("embedding_model")
def test_ask_embeds_a_text(command: Command) -> None:
    done = command("ask", "--text", "answer a", "--json")
    embedding = Embedding.model_validate_json(done.out)
    assert (done.code, embedding.dims) == (0, DIMS)
    np.testing.assert_allclose(embedding.embedding, expected(["answer", "a"], Pooling()), atol=1e-6)


@pytest.mark.usefixtures("embedding_model")
def test_ask_prints_the_first_dimensions(command: Command) -> None:
    done = command("ask", "--text", "answer a")
    whole = json.loads(command("ask", "--text", "answer a", "--json").out)["embedding"]
    assert (done.code, done.err) == (0, "")
    assert ", ".join(f"{number:g}" for number in whole) in done.out
    assert "tiny-vectors" in done.out


@pytest.mark.usefixtures("embedding_model")
@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--text", " "), "rejected, schema: text: is blank"),
        (("--text", "a " * 2561), "rejected, text_too_long: "),
        (("--question", "a", "--context", "b"), "rejected, schema: text: Field required; "),
    ],
)
def test_a_rejected_text_is_one_error_line(
    command: Command, arguments: tuple[str, ...], complaint: str
) -> None:
    done = command("ask", *arguments)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(f"qa-worker: {complaint}")
    assert done.err.count("\n") == 1


def test_a_text_is_rejected_by_a_question_answering_model(
    command: Command, tiny_model: Path
) -> None:
    done = command("ask", "--text", "a")
    assert done.code == 1
    assert "question: Field required" in done.err


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--context", "b"),
        ("--text", "a", "--question", "a", "--context", "b"),
        ("--text", "a", "--context", "b"),
        ("--text", "a", "--top-k", "2"),
    ],
)
def test_ask_needs_either_a_question_or_a_text(
    command: Command, arguments: tuple[str, ...]
) -> None:
    done = command("ask", *arguments)
    assert done.code == 2
    assert "give --question with a context, or --text alone" in done.err


def test_text_that_is_not_utf8_is_a_usage_error(command: Command) -> None:
    done = command("ask", "--text", "Ada \udcff.")
    assert done.code == 2
    assert "is not UTF-8" in done.err


@pytest.mark.usefixtures("embedding_model")
def test_evaluate_refuses_an_embedding_model(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "squad.json"
    file.write_text("{}")
    done = command("evaluate", file)
    assert done.code == 1
    assert "tiny-vectors is for embeddings; set QA_MODEL to a model for question" in done.err
