"""The benchmarks behind the figures of the README: `make bench`. Each figure is a ratio measured in the same run."""
