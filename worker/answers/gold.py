"""EM and F1 of both sides against the gold answers of a SQuAD file, on the same questions."""

from collections.abc import Sequence

from worker.answers.answer import ComparedAnswer
from worker.answers.significance import McNemar, mcnemar
from worker.model_tools.evaluation.squad import EvaluationResult, Example, score


class GoldScores:
    """Add pairs; those whose id the file has are scored, each id once."""

    def __init__(self, examples: Sequence[Example]) -> None:
        self.questions = len(examples)
        """Of the file."""
        self._examples = {example.id: example for example in examples}
        self._scored: list[Example] = []
        self._left: dict[str, str] = {}
        self._right: dict[str, str] = {}
        self.only_left = 0
        """Questions that only the left side answers as the file does, by EM."""
        self.only_right = 0

    def add(self, left: ComparedAnswer, right: ComparedAnswer) -> None:
        """Both are answers to one question. A further pair with the same id does not count."""
        example = self._examples.pop(left.id, None)
        if example is None:
            return
        self._scored.append(example)
        self._left[example.id], self._right[example.id] = left.answer, right.answer
        left_scores, right_scores = (
            score([example], {example.id: each.answer}).exact_match > 0 for each in (left, right)
        )
        self.only_left += left_scores and not right_scores
        self.only_right += right_scores and not left_scores

    @property
    def left(self) -> EvaluationResult:
        return score(self._scored, self._left)

    @property
    def right(self) -> EvaluationResult:
        return score(self._scored, self._right)

    @property
    def significance(self) -> McNemar:
        """Of the difference in EM."""
        return mcnemar(self.only_left, self.only_right)
