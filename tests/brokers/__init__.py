"""Brokers for the tests.

`choose.py` picks one; each other file knows one kind. `fixtures.py` hands them to pytest.
`test_contract.py` says what the worker needs of a broker. `distribution.py` and the lock file
beside it say which Apache Kafka runs; `lock_kafka.py` makes a lock file.
"""
