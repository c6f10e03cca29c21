"""What `DataLoader` promises to an `IterableDataset`: a copy in each worker process, and who the worker is."""

from __future__ import annotations

import multiprocessing
import pickle
from collections.abc import Iterator
from typing import Any, NamedTuple


class WorkerInfo(NamedTuple):
    """Who a worker is."""

    id: int
    num_workers: int


_info: WorkerInfo | None = None


def get_worker_info() -> WorkerInfo | None:
    """In a worker, who it is; else None."""
    return _info


class IterableDataset:
    """The base class of datasets that are iterated."""


class DataLoader:
    """Iterates over copies of a dataset, each in a process of its own, as PyTorch does where processes are spawned."""

    def __init__(self, dataset: Any, batch_size: int | None = 1, num_workers: int = 0) -> None:
        assert batch_size is None, "the recipe makes no batches"
        self._dataset = dataset
        self._workers = num_workers

    def __iter__(self) -> Iterator[Any]:
        if self._workers == 0:
            yield from self._dataset
            return
        context = multiprocessing.get_context("fork")  # spawned ones would run the recipe's script again
        copy = pickle.dumps(self._dataset)
        with context.Pool(self._workers) as pool:
            for items in pool.starmap(_work, [(copy, number, self._workers) for number in range(self._workers)]):
                yield from items


def _work(copy: bytes, number: int, workers: int) -> list[Any]:
    global _info
    _info = WorkerInfo(number, workers)
    return list(pickle.loads(copy))
