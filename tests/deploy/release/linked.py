"""What a wheel requires, in a bare environment: links to the distributions of this environment,
which have the tested versions. Their installation would take a core for ten seconds.
"""

import sysconfig
import zipfile
from importlib.metadata import Distribution, PathDistribution, distribution
from pathlib import Path

from packaging.requirements import Requirement


def link_requirements(wheel: Path, environment: Path) -> None:
    """Links all that `wheel` requires without extras, and what that requires, into a virtual
    environment of this Python; pip too, which `python -m venv` brings. Raises
    `PackageNotFoundError` for what is not installed here.
    """
    packages = Path(sysconfig.get_path("purelib", "venv", vars={"base": str(environment)}))
    required = {"pip": distribution("pip")}
    _add_required(_metadata(wheel), set(), required, set())
    for each in required.values():
        for file in each.files or ():
            if ".." in file.parts:  # a script
                continue
            link = packages / file
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(str(each.locate_file(file)))


def _metadata(wheel: Path) -> Distribution:
    name, version, *_ = wheel.name.split("-")
    return PathDistribution(zipfile.Path(wheel, f"{name}-{version}.dist-info/"))


def _add_required(
    of: Distribution,
    extras: set[str],
    found: dict[str, Distribution],
    seen: set[tuple[str, str]],
) -> None:
    for requirement in map(Requirement, of.requires or ()):
        contexts = [{"extra": extra} for extra in ("", *extras)]
        if requirement.marker and not any(map(requirement.marker.evaluate, contexts)):
            continue
        wanted = {(requirement.name, extra) for extra in ("", *requirement.extras)}
        if wanted <= seen:
            continue
        seen |= wanted
        required = distribution(requirement.name)
        found[required.metadata["Name"]] = required
        _add_required(required, requirement.extras, found, seen)
