"""What can be wrong with a question."""

from typing import ClassVar

from core.faults import Fault


class InvalidTime(Fault):
    """A time or a window of time cannot be used."""

    code: ClassVar[str] = "invalid_time"


class InvalidParameter(Fault):
    """A parameter's value cannot be used."""

    code: ClassVar[str] = "invalid_parameter"


class NotFound(Fault):
    """The thing asked for is not known."""

    code: ClassVar[str] = "not_found"


class TooMuchAsked(Fault):
    """Answering would take more time or memory than one question may use."""

    code: ClassVar[str] = "too_much_asked"


class TooManyQuestions(Fault):
    """So many questions are waiting that another one is refused; it may be asked again soon."""

    code: ClassVar[str] = "too_many_questions"
    retryable: ClassVar[bool] = True
