"""Creates the lock file of a version of Apache Kafka: resolves its jars and hashes them.

python -m tests.brokers.lock_kafka 4.4.0 > worker/kafka/kafka-4.4.0.lock
python -m tests.brokers.lock_kafka 3.9.2 > tests/brokers/kafka-3.9.2.lock
"""

import hashlib
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from jgo.maven import Dependency, MavenContext


def resolve(version: str, repository: Path) -> list[Dependency]:
    """Returns the broker's runtime dependencies and slf4j-simple, which logs to stderr."""
    maven = MavenContext(repo_cache=repository)
    kafka = [maven.create_dependency(f"org.apache.kafka:kafka_2.13:{version}")]
    (api,) = [jar for jar in _runtime(maven, kafka) if jar.artifactId == "slf4j-api"]
    logger = maven.create_dependency(f"org.slf4j:slf4j-simple:{api.version}")
    return _runtime(maven, [*kafka, logger])


def _runtime(maven: MavenContext, roots: list[Dependency]) -> list[Dependency]:
    inputs, transitive = maven.resolver.resolve(roots)
    return [*inputs, *(jar for jar in transitive if jar.scope in ("compile", "runtime"))]


def lock_line(dependency: Dependency) -> str:
    """Downloads the jar and returns its line. Raises `ValueError` if it is not a plain jar."""
    if dependency.classifier or dependency.type != "jar":
        raise ValueError(f"a lock file cannot name {dependency}: it is not a plain jar")
    with dependency.artifact.resolve().open("rb") as jar:
        sha256 = hashlib.file_digest(jar, "sha256").hexdigest()
    return f"{sha256}  {dependency.groupId}:{dependency.artifactId}:{dependency.version}"


def main(version: str) -> None:
    with tempfile.TemporaryDirectory() as repository, ThreadPoolExecutor(8) as pool:
        lines = list(pool.map(lock_line, resolve(version, Path(repository))))
    print(f"# Apache Kafka {version} and its broker's dependencies: SHA-256, Maven coordinate.")
    print(f"# Made by: python -m tests.brokers.lock_kafka {version}")
    print(*sorted(lines, key=lambda line: line.split()[1]), sep="\n")


if __name__ == "__main__":
    main(sys.argv[1])
