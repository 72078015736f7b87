"""What is said of an event that is rejected through no fault of its own."""

from schemas.rejection import Reason, Rejected


def model_failed(error: Exception) -> Rejected:
    return Rejected(Reason.MODEL_FAILED, f"{type(error).__name__}: {error}")


def internal_error(stage: str, error: BaseException) -> Rejected:
    rejected = Rejected(Reason.INTERNAL_ERROR, f"{stage}: {type(error).__name__}: {error}")
    rejected.__cause__ = error
    return rejected
