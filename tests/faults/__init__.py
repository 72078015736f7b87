"""Faults on a real cluster, and what became of every question: `python -m tests.faults --help`.

`schedule.py` decides what happens, `faults.py` does it to `cluster.py`, `workers.py` and
`proxy.py`; `traffic.py` asks, `evidence.py` reads what is on the brokers in the end, `checker.py`
judges it. `failpoints.py`, `sabotage.py` and `stub.py` live in the worker's process.
"""
