"""Which calls make messages of one kind."""

from tasks.broker.kinds import kind_of


def test_options_that_differ_in_a_message_make_kinds_that_differ() -> None:
    kinds = {kind_of("a.task", {"priority": priority}) for priority in (1, True, 1.0, 2, None)}
    assert len(kinds - {None}) == 4


def test_what_differs_from_call_to_call_makes_no_kind_of_its_own() -> None:
    call = {"task_id": "one", "headers": {"trace": "1"}, "queue": "low"}
    assert kind_of("a.task", call) == kind_of("a.task", {**call, "task_id": "two"}) is not None


def test_options_that_celery_must_look_at_make_no_kind() -> None:
    assert kind_of("a.task", {"countdown": 3}) is None
    assert kind_of("a.task", {"queue": ["low"]}) is None
