"""The columnar kernel (列式内核): the same typed tree as the SQL backend, computed over numpy columns.

It has no limit on people, identities or records of a person; what it computes is equal to DuckDB cell by cell.
"""

from ganbu.engine.kernel.columns import Col
from ganbu.engine.kernel.evaluate import Kernel
from ganbu.engine.kernel.shelf import Shelf
from ganbu.engine.kernel.snapshot import Prepared

__all__ = ["Col", "Kernel", "Prepared", "Shelf"]
