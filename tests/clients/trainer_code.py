"""Runs single modules of trainers' packages, as they were released, without what they need beside their HTTP code.

fetch_trainers.py unpacks the pinned packages. Of a package, only the modules that are named run; every other module that
they import from it, and every module that is not installed (torch, ray, transformers, ...), is a stand-in that can be
imported, called, subclassed and used as a decorator, and does nothing."""

import contextlib
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

PACKAGES = Path(__file__).resolve().parents[2] / ".venv-clients" / "trainers"


class Nothing:
    """Stands for any value of a module that is not there."""

    def __init__(self, *_, **__):
        pass

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Nothing()

    def __call__(self, *arguments, **_):
        function_to_decorate = len(arguments) == 1 and callable(arguments[0])
        return arguments[0] if function_to_decorate else Nothing()

    def __getitem__(self, _):
        return Nothing()

    def __setitem__(self, *_):
        pass

    def __iter__(self):
        return iter(())

    def __or__(self, _):
        return Nothing()

    __ror__ = __or__

    def __mro_entries__(self, _):
        return ()


class StandIn(ModuleType):
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        if f"{self.__name__}.{name}" in self.__spec__.loader.real:
            return importlib.import_module(f"{self.__name__}.{name}")
        return Nothing()


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def __init__(self, folder, real, given):
        self.folder, self.real, self.given = folder, set(real), given
        self.top = {name.split(".")[0] for name in real}

    def find_spec(self, name, path=None, target=None):
        if name in self.real:
            file = self.folder.joinpath(*name.split("."))
            file = file / "__init__.py" if file.is_dir() else file.with_suffix(".py")
            if not file.is_file():
                raise ImportError(f"{self.folder.name} has no {file}")
            return importlib.util.spec_from_file_location(name, file)
        if self.stands_in(name):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def stands_in(self, name):
        if name in self.given or name.split(".")[0] in self.top:
            return True
        if name.split(".")[0] in sys.stdlib_module_names or not self.asked_for_it():
            return False
        top = sys.modules.get(name.split(".")[0])
        if top is not None:
            return isinstance(top, StandIn)
        return importlib.machinery.PathFinder.find_spec(name.split(".")[0]) is None

    def asked_for_it(self):
        """Whether the import statement stands in one of the modules that run: installed libraries probe for others."""
        frame = sys._getframe()
        while frame.f_code.co_filename == __file__ or "importlib" in frame.f_code.co_filename:
            frame = frame.f_back
        return frame.f_globals.get("__name__") in self.real

    def create_module(self, spec):
        module = StandIn(spec.name)
        for name, value in self.given.get(spec.name, {}).items():
            setattr(module, name, value)
        return module

    def exec_module(self, module):
        pass


@contextlib.contextmanager
def stand_ins(package, real, given=None):
    """Within it, `real` modules of an unpacked package ("openrlhf-0.9.0") can be imported. `given`: {module: {name:
    value}} for what a stand-in has to do. All of it is forgotten at the end."""
    finder = Finder(PACKAGES / package, real, given or {})
    before = dict(sys.modules)
    for name in list(finder.given):
        sys.modules.pop(name, None)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in set(sys.modules) - set(before):
            if name in finder.real or isinstance(sys.modules[name], StandIn):
                del sys.modules[name]
        sys.modules.update({name: before[name] for name in finder.given if name in before})


def load(package, module, given=None, real=()):
    """The module of the package; `real` names further modules that run."""
    with stand_ins(package, [module, *real], given):
        return importlib.import_module(module)


class Remote:
    """ray's remote functions and classes, run at once."""

    def __init__(self, target):
        self.target = target

    def remote(self, *arguments, **names):
        made = self.target(*arguments, **names)
        return Actor(made) if isinstance(self.target, type) else made


class Actor:
    def __init__(self, instance):
        self.instance = instance

    def __getattr__(self, name):
        return Remote(getattr(self.instance, name))


RAY = {"remote": Remote, "get": lambda value: value}
