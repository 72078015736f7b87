"""Tokens for Amazon MSK's IAM authentication: presigned URLs of the action kafka-cluster:Connect.

AWS' library makes them; needs the extra `msk`. Region, role and profile come from where all of AWS'
tools look: AWS_REGION or AWS_DEFAULT_REGION, AWS_PROFILE, AWS_ACCESS_KEY_ID, AWS_ROLE_ARN with
AWS_WEB_IDENTITY_TOKEN_FILE (IRSA), EKS Pod Identity, the instance's role.
"""

import asyncio
import logging
import os
import time
from collections.abc import Callable
from typing import Any

from aiokafka.errors import KafkaConnectionError, SaslAuthenticationFailed

from worker.kafka.renewed_token import RenewedTokenProvider
from worker.settings import SettingsError

try:
    from aws_msk_iam_sasl_signer import MSKAuthTokenProvider
    from botocore.config import Config
    from botocore.credentials import CredentialProvider, Credentials
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        HTTPClientError,
    )
    from botocore.exceptions import (
        ConnectionError as AwsConnectionError,
    )
    from botocore.session import Session
except ImportError as missing:
    raise SettingsError(
        f"KAFKA_SASL_MECHANISM=AWS_MSK_IAM needs the extra msk ({missing.name} is not installed): "
        f"pip install 'qa-worker[msk]', or build the image with EXTRAS=tracing,msk"
    ) from None

TIMEOUT_SECONDS = 4.0
"""For one connection to STS, and for one answer: botocore waits for 60 seconds and tries five
times, and a connection to a broker, and the end of the process, wait for it."""

# At the level debug it logs what is signed, and the signature: together they are the token.
logging.getLogger("botocore").setLevel(logging.INFO)


class _LoadedCredentials(CredentialProvider):  # type: ignore[misc]  # botocore is untyped
    """Gives the signer credentials that are loaded: on its own it would load them, and assume a
    role, for every token.
    """

    def __init__(self, credentials: Credentials) -> None:
        super().__init__()
        self._credentials = credentials

    def load(self) -> Credentials:
        return self._credentials


class MskTokenProvider(RenewedTokenProvider):
    """`token` raises `SaslAuthenticationFailed` without credentials, or if AWS refuses the role;
    `KafkaConnectionError` if AWS does not answer.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises `SettingsError` without a region, or for a profile that does not exist."""
        super().__init__(clock)
        # botocore itself does not read AWS_REGION, which Lambda, ECS and EKS set.
        region = os.environ.get("AWS_REGION")
        self._session = Session()
        self._session.set_default_client_config(
            Config(
                connect_timeout=TIMEOUT_SECONDS,
                read_timeout=TIMEOUT_SECONDS,
                retries={"total_max_attempts": 2},
            )
        )
        try:
            self._session.get_scoped_config()  # raises if there is no such profile
            self._region: str | None = region or self._session.get_config_variable("region")
        except BotoCoreError as error:
            raise SettingsError(f"KAFKA_SASL_MECHANISM=AWS_MSK_IAM: {_one_line(error)}") from None
        if not self._region:
            raise SettingsError(
                "KAFKA_SASL_MECHANISM=AWS_MSK_IAM needs the region of the cluster: set AWS_REGION"
            )
        self._session.set_config_variable("region", self._region)  # for STS, where roles come from

    async def _fetch(self) -> tuple[str, float]:
        # Credentials may come from a file, from STS or from the instance's metadata.
        token, expires_ms = await asyncio.to_thread(self._sign)
        return token, expires_ms / 1000 - time.time()

    def _sign(self) -> tuple[str, int]:
        """The token, and when it expires in milliseconds since 1970."""
        try:
            # The session renews credentials that expire.
            credentials: Any = self._session.get_credentials()
            if credentials is None:
                raise SaslAuthenticationFailed(
                    "no AWS credentials found: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and "
                    "AWS_SECRET_ACCESS_KEY, or give the pod a role (IRSA, EKS Pod Identity)"
                )
            # Frozen: the signer reads the parts one by one, which may be renewed in between.
            frozen = credentials.get_frozen_credentials()
            return MSKAuthTokenProvider.generate_auth_token_from_credentials_provider(  # type: ignore[no-any-return]
                self._region, _LoadedCredentials(Credentials(*frozen))
            )
        except (AwsConnectionError, HTTPClientError) as error:
            raise KafkaConnectionError(f"AWS does not answer: {_one_line(error)}") from None
        except OSError as error:  # of the token's file, for example
            raise SaslAuthenticationFailed(
                f"no AWS credentials: {error.filename}: {error.strerror}"
            ) from None
        except (BotoCoreError, ClientError) as error:
            raise SaslAuthenticationFailed(f"no AWS credentials: {_one_line(error)}") from None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
