"""Brokers for the tests.

`choose.py` selects a broker by `TEST_BROKER`; `apache.py`, `docker.py` and `external.py` implement
the kinds; `fixtures.py` provides them to pytest. `test_contract.py` and
`test_contract_transactions.py` test the behaviour that the worker needs from a broker.
`distribution.py` and the lock file beside it set the version of Apache Kafka; `lock_kafka.py`
creates a lock file.
"""
