"""What Lambda hands to a handler beside the event."""

from aws_lambda_powertools.utilities.typing import LambdaContext


class Context(LambdaContext):
    """A call with time left."""

    def __init__(self, seconds_left: float = 60.0) -> None:
        self._function_name = "dropzone"
        self._function_version = "$LATEST"
        self._invoked_function_arn = "arn:aws:lambda:eu-central-1:123456789012:function:dropzone"
        self._memory_limit_in_mb = 1024
        self._aws_request_id = "8f0e4b2a-5a55-4c0f-9d43-0e4a1f1c2b3d"
        self.seconds_left = seconds_left

    def get_remaining_time_in_millis(self) -> int:  # type: ignore[override] # it is static there
        return int(self.seconds_left * 1000)
