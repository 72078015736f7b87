"""The training of the shipped default model: four teachers side by side, then the student.

`python -m worker.model_tools.training.recipe windows.npz --from WEIGHTS_DIR --to DIR`. Took eight
minutes on one NVIDIA H200: one process does not keep it busy, so the teachers share it. The times
are part of the recipe: on a slower device `--times 10` gives each run ten times as many minutes.
`DIR/student` is ready for `model convert`.
"""

import argparse
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

TRAIN = [sys.executable, "-m", "worker.model_tools.training.train"]
TEACHER_MINUTES = 2.2
STUDENT_MINUTES = 4.75
STUDENT_LEARNING_RATE = 3.5e-4
STUDENT_BATCH_TOKENS = 49152


@dataclass(frozen=True, slots=True)
class Teacher:
    """Seed of mixture, order and dropout; times that each layer stands there; peak of the rate."""

    seed: int
    layer_repeats: int
    learning_rate: float


TEACHERS = (
    Teacher(seed=1, layer_repeats=1, learning_rate=2.5e-4),
    Teacher(seed=2, layer_repeats=1, learning_rate=2.5e-4),
    Teacher(seed=4, layer_repeats=2, learning_rate=1.8e-4),
    Teacher(seed=5, layer_repeats=2, learning_rate=1.2e-4),
)
"""The student starts from the first."""


def teacher_command(teacher: Teacher, to: Path, arguments: argparse.Namespace) -> list[str]:
    """The command that trains a teacher."""
    return [
        *TRAIN,
        "teacher",
        str(arguments.windows),
        f"--from={arguments.weights}",
        f"--to={to}",
        f"--minutes={TEACHER_MINUTES * arguments.times}",
        f"--learning-rate={teacher.learning_rate}",
        f"--layer-repeats={teacher.layer_repeats}",
        f"--seed={teacher.seed}",
        f"--device={arguments.device}",
    ]


def student_command(teachers: list[Path], arguments: argparse.Namespace) -> list[str]:
    """The command that trains the student."""
    return [
        *TRAIN,
        "student",
        str(arguments.windows),
        *map(str, teachers),
        f"--from={teachers[0]}",
        f"--to={arguments.to / 'student'}",
        f"--minutes={STUDENT_MINUTES * arguments.times}",
        f"--learning-rate={STUDENT_LEARNING_RATE}",
        f"--batch-tokens={STUDENT_BATCH_TOKENS}",
        f"--device={arguments.device}",
    ]


def main() -> None:
    arguments = _arguments()
    teachers = [arguments.to / f"teacher-{teacher.seed}" for teacher in TEACHERS]
    running = [
        subprocess.Popen(teacher_command(teacher, to, arguments))  # noqa: S603
        for teacher, to in zip(TEACHERS, teachers, strict=True)
    ]
    codes = [process.wait() for process in running]
    if any(codes):
        sys.exit(f"a teacher's training ended with an error; exit codes: {codes}")
    student = student_command(teachers, arguments)
    sys.exit(subprocess.run(student, check=False).returncode)  # noqa: S603


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("windows", type=Path, help="what training.window_set wrote")
    parser.add_argument(
        "--from",
        dest="weights",
        type=Path,
        required=True,
        metavar="DIR",
        help="where the weights are",
    )
    parser.add_argument("--to", type=Path, required=True, help="directory of the networks")
    parser.add_argument("--device", default="cuda", help="cuda or cpu")
    parser.add_argument("--times", type=float, default=1.0, help="of the recipe's minutes")
    return parser.parse_args()


if __name__ == "__main__":
    main()
