"""The recipe's commands."""

import argparse
from pathlib import Path

from worker.model_tools.training.recipe import TEACHERS, student_command, teacher_command

ARGUMENTS = argparse.Namespace(
    windows=Path("windows.npz"), weights=Path("start"), to=Path("run"), device="cpu", times=10.0
)


def test_every_teacher_differs_and_the_first_has_the_students_size() -> None:
    assert len({teacher.seed for teacher in TEACHERS}) == len(TEACHERS)
    assert TEACHERS[0].layer_repeats == 1


def test_times_lengthen_each_run() -> None:
    teacher = teacher_command(TEACHERS[0], Path("run/teacher-1"), ARGUMENTS)
    assert {"--minutes=22.0", "--from=start", "--to=run/teacher-1"} <= set(teacher)
    student = student_command([Path("run/teacher-1"), Path("run/teacher-2")], ARGUMENTS)
    assert {"--minutes=47.5", "--from=run/teacher-1", "run/teacher-2"} <= set(student)
