"""Faults on a real cluster, and the outcome of every question: `python -m tests.faults --help`.

`schedule.py` lists the faults, `faults.py` injects them into `cluster.py`, `workers.py` and
`proxy.py`; `traffic.py` sends questions, `evidence.py` reads the brokers at the end, `checker.py`
compares. `failpoints.py`, `sabotage.py` and `stub.py` run in the worker's process.
"""
