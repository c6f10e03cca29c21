"""As much of pandas as the recipe needs."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any


class DataFrame:
    """A table."""

    def __init__(self, records: list[tuple[Any, ...]], columns: Sequence[str]) -> None:
        self._records = records
        self._columns = list(columns)

    @classmethod
    def from_records(cls, data: Any, columns: Sequence[str]) -> DataFrame:
        """Make a table of its rows."""
        return cls([tuple(record) for record in data], columns)

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, columns: list[str]) -> DataFrame:
        places = [self._columns.index(name) for name in columns]
        return DataFrame([tuple(record[place] for place in places) for record in self._records], columns)

    def itertuples(self, index: bool) -> Iterator[Any]:
        """The rows, with the columns as attributes."""
        assert not index
        for record in self._records:
            yield SimpleNamespace(**dict(zip(self._columns, record, strict=True)))

    def to_csv(self, path: str, index: bool) -> None:
        """Write the table."""
        assert not index
        with Path(path).open("w", newline="") as file:
            csv.writer(file).writerows([self._columns, *self._records])
