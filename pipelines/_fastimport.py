"""Import the Dagger SDK in a fraction of the time that `import dagger` takes.

Theory of operation. Three things make the plain import slow, and none of them is needed before the
first query:

1. The generated client decorates every method of 72 classes with beartype when it is imported.
   Here the same decoration happens at a method's first call: same checks, same `TypeError`s.
2. `dagger.provisioning` and `dagger.mod` are for programs that start Dagger's own engine and for
   module runtimes. The SDK treats both as optional (it suppresses `ModuleNotFoundError`), so they
   are hidden during the import; afterwards the package loads them when one of their names is asked
   for. The command line of httpx is hidden too, and stays away. `dagger.telemetry`, which drags in
   the OpenTelemetry SDK, is loaded on first use.
3. The garbage collector scans the hundreds of thousands of objects that an import creates.

Two more are put right for later. The first connection would read every certificate authority of
this machine, to speak plain HTTP on loopback. And the SDK makes a converter of JSON for each step
of a chain, of which all but the last are never used for more than their arguments: these share one.

Everything is put back afterwards. If the SDK or beartype look different from what is expected here,
the plain import is used: slower, never wrong.
"""

import functools
import gc
import importlib
import inspect
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

__all__ = ["import_dagger", "import_transport"]

_OPTIONAL = ("dagger.provisioning", "dagger.mod")
_COMMAND = "httpx._main"  # httpx's own command line, and with it rich, click and pygments
_DEFERRED = "dagger.telemetry"


def import_dagger() -> types.ModuleType:
    """Import the SDK lazily checked, unless it is there already."""
    if "dagger" in sys.modules:
        return sys.modules["dagger"]
    with _without_collection():
        try:
            module = _import_quickly()
        except Exception:  # noqa: BLE001 - whatever the SDK changed, the plain import is right
            _forget()
            module = importlib.import_module("dagger")
    return module


def import_transport() -> None:
    """Import what the SDK's first query would, for a process whose event loop is asyncio's.

    httpcore imports trio where it is installed, to be ready for its loop, which takes as long as
    all the rest of it. Only a program that knows its event loop may call this.
    """
    if "httpcore" in sys.modules:
        return
    with _without_collection(), _hidden(() if "trio" in sys.modules else ("trio",)):
        importlib.import_module("httpcore")


def _import_quickly() -> types.ModuleType:
    import beartype
    from beartype._decor.decorcore import beartype_object

    real = beartype.beartype
    beartype.beartype = _postponing(real, beartype_object)
    try:
        with _hidden((*_OPTIONAL, _COMMAND)), _lazily_loaded(_DEFERRED):
            module = importlib.import_module("dagger")
    finally:
        beartype.beartype = real
    core: Any = sys.modules["dagger.client._core"]
    core.make_converter = functools.partial(_Converter, core.make_converter)
    session: Any = sys.modules["dagger.client._session"]
    session.TelemetryTransport = functools.partial(session.TelemetryTransport, verify=False)
    module.__dict__["__getattr__"] = functools.partial(_optional_name, module)
    return module


def _postponing(real: Any, beartype_object: Any) -> Callable[..., Any]:
    """Return a stand-in for `beartype.beartype` whose class decoration waits for the first call."""

    def beartype(obj: Any = None, **options: Any) -> Any:
        if obj is not None or "conf" not in options:
            return real(obj, **options)

        def decorate(target: Any) -> Any:
            if not isinstance(target, type) or not _is_plain(target):
                return real(**options)(target)
            for name, function in list(vars(target).items()):
                if isinstance(function, types.FunctionType):
                    check = functools.partial(
                        beartype_object, function, options["conf"], cls_stack=(target,)
                    )
                    setattr(target, name, _checked_on_call(target, name, function, check))
            return target

        return decorate

    return beartype


class _Converter:
    """A converter that is made when it is needed, one for all where no context is.

    `make(context)` is the SDK's own. Only objects in lists get the context of their chain;
    arguments and plain answers are the same for all.
    """

    __slots__ = ("_context", "_make")
    _shared: Any = None

    def __init__(self, make: Callable[[Any], Any], context: Any) -> None:
        self._make, self._context = make, context

    def unstructure(self, *arguments: Any, **options: Any) -> Any:
        return self._common().unstructure(*arguments, **options)

    def structure(self, value: Any, kind: Any) -> Any:
        plain = isinstance(kind, type) and issubclass(kind, str | bool | int)
        converter = self._common() if plain else self._its_own()
        return converter.structure(value, kind)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._its_own(), name)

    def _common(self) -> Any:
        if _Converter._shared is None:
            _Converter._shared = self._make(None)
        return _Converter._shared

    def _its_own(self) -> Any:
        return self._make(self._context)


def _is_plain(cls: type) -> bool:
    """Whether beartype would find nothing to decorate in `cls` but functions."""
    return not any(isinstance(v, classmethod | staticmethod | property) for v in vars(cls).values())


def _checked_on_call(
    cls: type, name: str, function: types.FunctionType, check: Callable[[], Any]
) -> Callable[..., Any]:
    """Return a function that puts the checked one in its place when it is first called."""

    @functools.cache
    def checked() -> Callable[..., Any]:
        result: Callable[..., Any] = check()
        if vars(cls).get(name) is stand_in:
            setattr(cls, name, result)
        return result

    stand_in: Callable[..., Any]
    if inspect.iscoroutinefunction(function):

        async def stand_in(*args: Any, **kwargs: Any) -> Any:
            return await checked()(*args, **kwargs)
    else:

        def stand_in(*args: Any, **kwargs: Any) -> Any:
            return checked()(*args, **kwargs)

    return functools.update_wrapper(stand_in, function)


@contextmanager
def _hidden(names: tuple[str, ...]) -> Iterator[None]:
    """Make the import of `names` fail with `ModuleNotFoundError`, as if not installed."""
    modules: dict[str, Any] = sys.modules
    modules.update(dict.fromkeys(names))
    try:
        yield
    finally:
        for name in names:
            if modules.get(name) is None:
                modules.pop(name, None)


@contextmanager
def _lazily_loaded(name: str) -> Iterator[None]:
    """Make the import of `name` give a module that loads itself when it is first used."""
    sys.meta_path.insert(0, finder := _LazyFinder(name))
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _LazyFinder:
    """Find one module as usual, and leave its loading to its first use."""

    def __init__(self, name: str) -> None:
        self._name = name

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        if name != self._name:
            return None
        for finder in sys.meta_path:
            if finder is not self and (spec := finder.find_spec(name, path, target)):
                lazily: Any = _LazyLoader(spec.loader)
                spec.loader = lazily
                return spec
        return None


class _LazyLoader:
    """Create a module that is empty until one of its names is asked for."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def create_module(self, spec: Any) -> types.ModuleType:
        return _Later(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        assert module.__spec__ is not None
        module.__spec__.loader = self._loader
        module.__loader__ = self._loader


class _Later(types.ModuleType):
    """A module that loads itself. `importlib.util.LazyLoader` wakes up for dunder names too."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        self.__class__ = types.ModuleType  # type: ignore[assignment]
        assert self.__spec__ is not None
        assert self.__spec__.loader is not None
        self.__spec__.loader.exec_module(self)
        return getattr(self, name)


def _optional_name(module: types.ModuleType, name: str) -> Any:
    """Load what was hidden, as `import dagger` would have, and give `name` from it."""
    if not name.startswith("_"):
        module.__dict__.pop("__getattr__", None)
        for optional in _OPTIONAL:
            _star_import(module, optional)
        if name in module.__dict__:
            return module.__dict__[name]
    raise AttributeError(f"module 'dagger' has no attribute {name!r}")


def _star_import(into: types.ModuleType, name: str) -> None:
    try:
        source = importlib.import_module(name)
    except ModuleNotFoundError:
        return
    for public in source.__all__:
        value = getattr(source, public)
        if str(getattr(value, "__module__", "")).startswith("dagger."):
            with suppress(AttributeError):
                value.__module__ = "dagger"
        into.__dict__.setdefault(public, value)


@contextmanager
def _without_collection() -> Iterator[None]:
    """Pause the garbage collector; what was imported meanwhile is never scanned again."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()


def _forget() -> None:
    for name in [n for n in sys.modules if n == "dagger" or n.startswith("dagger.")]:
        del sys.modules[name]
