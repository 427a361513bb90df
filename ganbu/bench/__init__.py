"""Benchmarks (性能测试): what this project measures itself by, each checked for equal results where there is a yardstick."""
