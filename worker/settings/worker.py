"""The worker's own settings, `QA_...`: the groups of all concerns in one."""

from worker.settings.deadlines import DeadlineSettings
from worker.settings.delivery import DeliverySettings, LifecycleSettings
from worker.settings.inference import CacheSettings, InferenceSettings, ModelSettings
from worker.settings.operations import ConsoleSettings, HttpSettings, LoggingSettings
from worker.settings.sample import SampleSettings
from worker.settings.value_formats import ValueFormatSettings


# pydantic collects fields from the last base to the first: the first concern stands last.
class WorkerSettings(
    LoggingSettings,
    ConsoleSettings,
    HttpSettings,
    LifecycleSettings,
    DeliverySettings,
    DeadlineSettings,
    CacheSettings,
    InferenceSettings,
    SampleSettings,
    ValueFormatSettings,
    ModelSettings,
):
    """Field `x_y` is the variable `QA_X_Y`."""
