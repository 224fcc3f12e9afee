from leadline.hosts.health import Health


def test_a_trouble_that_is_said_again_keeps_the_time_at_which_it_was_said_first() -> None:
    health = Health()
    health.stuck("join", "outcomes/1", "a batch cannot be read")
    [first] = health.troubles()
    health.stuck("join", "outcomes/1", "a batch still cannot be read")
    assert health.troubles() == [first._replace(message="a batch still cannot be read")]


def test_what_goes_on_is_no_trouble_any_more() -> None:
    health = Health()
    health.stuck("join", "outcomes/1", "a batch cannot be read")
    health.freed("join", "outcomes/1")
    health.freed("join", "predictions/0")
    assert health.troubles() == []
