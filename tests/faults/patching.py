"""Wrap named functions of the worker, from outside. A name that is gone fails at once."""

import inspect
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from typing import Any

Effect = Callable[..., None]


def _nothing(*_: Any, **__: Any) -> None:
    pass


def wrap(target: str, *, before: Effect = _nothing, after: Effect = _nothing) -> None:
    """`target` is `module:Class.function`. Both are called with the function's own arguments.

    Raises `AttributeError` or `ImportError` where there is no such function any more.
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
    """The object that has the function, and the function's name there."""
    module, _, path = target.partition(":")
    *outer, name = path.split(".")
    owner: Any = import_module(module)
    for part in outer:
        owner = getattr(owner, part)
    return owner, name
