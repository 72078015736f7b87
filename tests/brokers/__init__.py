"""Ways to get a broker for a test.

`choose.py` picks one and says why; each other file knows one way. `fixtures.py` hands them to
pytest. What the brokers promise alike, and where they differ, is in `test_contract.py`.
"""
