"""Benchmarks (性能测试): the engine against the query an engineer would write by hand."""

from ganbu.bench.engine import engine_bench

__all__ = ["engine_bench"]
