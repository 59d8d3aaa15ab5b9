"""What the campaign is guided by: features of an execution, and the counters libFuzzer reads.

Import the modules by name: `features` needs NumPy and runs in executors, `counters` runs in drivers, which
do without. `scopes`, `blocks` and `tables` find the basic blocks of the libraries; the supervisor asks `tables`,
which has a child do it.
"""
