"""Wraps functions of the worker by name. A name that does not exist fails immediately."""

import inspect
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from typing import Any

Effect = Callable[..., None]


def _nothing(*_: Any, **__: Any) -> None:
    pass


def wrap(target: str, *, before: Effect = _nothing, after: Effect = _nothing) -> None:
    """Call `before` and `after` around `target`, `module:Class.function`, with its arguments.

    Raises `AttributeError` or `ImportError` if the function does not exist.
    """
    owner, name = find(target)
    original = getattr(owner, name)

    @wraps(original)
    async def wrapped_coroutine(*args: Any, **kwargs: Any) -> Any:
        before(*args, **kwargs)
        result = await original(*args, **kwargs)
        after(*args, **kwargs)
        return result

    @wraps(original)
    def wrapped_function(*args: Any, **kwargs: Any) -> Any:
        before(*args, **kwargs)
        result = original(*args, **kwargs)
        after(*args, **kwargs)
        return result

    is_coroutine = inspect.iscoroutinefunction(original)
    setattr(owner, name, wrapped_coroutine if is_coroutine else wrapped_function)


def find(target: str) -> tuple[Any, str]:
    """The object that has the function as an attribute, and the attribute's name."""
    module, _, path = target.partition(":")
    *outer, name = path.split(".")
    owner: Any = import_module(module)
    for part in outer:
        owner = getattr(owner, part)
    return owner, name
