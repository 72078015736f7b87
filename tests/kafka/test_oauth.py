"""Tokens from an endpoint, without a broker."""

import asyncio

from tests.security.token_endpoint import SECRET, token_endpoint
from worker.kafka.oauth import token_provider
from worker.settings.environment import load


async def test_connections_share_a_valid_token() -> None:
    async with token_endpoint("qa-worker") as endpoint:
        prefix = "KAFKA_SASL_OAUTHBEARER"
        settings = load(
            {
                "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
                "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
                "KAFKA_SASL_MECHANISM": "OAUTHBEARER",
                f"{prefix}_TOKEN_ENDPOINT_URL": endpoint.url,
                f"{prefix}_CLIENT_CREDENTIALS_CLIENT_ID": "qa-worker",
                f"{prefix}_CLIENT_CREDENTIALS_CLIENT_SECRET": SECRET,
            }
        )
        provider = token_provider(settings.kafka)
        tokens = await asyncio.gather(*(provider.token() for _ in range(5)))
        assert set(tokens) == set(endpoint.issued_tokens)
        assert len(endpoint.issued_tokens) == 1
