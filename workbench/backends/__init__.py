"""The backends, one file each. Calling the package lists them: ``wb.backends()`` -> ``{name: Backend}``."""

from workbench._callable import make_callable
from workbench.registry import backends as _list

make_callable(__name__, _list)
