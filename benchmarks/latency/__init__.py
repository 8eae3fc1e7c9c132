"""What every stage costs on every unit.

The way of the data: `plan` says what is to be timed; `run` starts one `worker` process for each of it and round, which
uses the stopwatch of `timing`; `record` is what comes out, `summary` the statistics. `report`, `page` and `writers`
show records, `compare` finds what changed between two. `interleaved` times two files against one another.
"""
