"""A schema registry for the tests: Apicurio Registry with Confluent's REST API.

`apicurio.py` runs it, from the archive that `apicurio.lock` names; `fixtures.py` provides it to
pytest; `guid_proxy.py` adds what Confluent Platform 8 has and Apicurio has not.
"""
