"""Changes the configuration of topics while workers run."""

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from tests.streaming.topics import until


async def configure(servers: str, topic: str, **properties: str | int) -> None:
    """Set the topic's properties (`cleanup_policy` for `cleanup.policy`), and only these. Returns
    once the broker knows them.
    """
    configs = {name.replace("_", "."): str(value) for name, value in properties.items()}
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        resource = ConfigResource(ConfigResourceType.TOPIC, topic, configs=configs)
        (response,) = await admin.alter_configs([resource])
        assert all(not code for code, *_ in response.resources), response

        async def known() -> bool:
            (described,) = await admin.describe_configs(
                [ConfigResource(ConfigResourceType.TOPIC, topic)]
            )
            ((*_, entries),) = described.resources
            return configs.items() <= {name: value for name, value, *_ in entries}.items()

        await until(known, f"{topic} has {configs}")
    finally:
        await admin.close()
