"""`python -m benchmarks`: Turnkeeper's counter beside its peers' in-memory ones, under the same load, as ratios."""
