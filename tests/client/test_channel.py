"""How long a client tries: what passes is tried again with growing pauses, what does not is said at once."""

import itertools
import math

import grpc
import pytest
from cartridge.client import CallError, Patience

AWAY = CallError(grpc.StatusCode.UNAVAILABLE, "not there")


def test_pauses_grow_to_the_longest_and_are_of_random_length() -> None:
    pauses = list(itertools.islice(Patience(math.inf, first=0.1, longest=2.0).pauses(), 200))
    bounds = [0.1, 0.2, 0.4, 0.8, 1.6] + [2.0] * 195
    assert all(bound / 2 <= pause <= bound for pause, bound in zip(pauses, bounds, strict=True))
    assert len(set(pauses)) == 200


def test_pauses_are_in_all_as_long_as_the_patience() -> None:
    pauses = list(Patience(30.0, longest=2.0).pauses())
    assert sum(pauses) == pytest.approx(30.0)
    assert len(pauses) >= 15
    assert list(Patience(0.0).pauses()) == []


def test_a_failure_that_may_pass_is_tried_again_until_patience_ends() -> None:
    told: list[CallError] = []
    patience = Patience(1.0, first=0.5, longest=0.5, notice=told.append)
    pauses = patience.pauses()
    waits: list[float] = []
    while sum(waits) < 1.0 - 1e-9:
        waits.append(patience.go_on(AWAY, pauses))
    with pytest.raises(CallError) as caught:
        patience.go_on(AWAY, pauses)
    assert caught.value is AWAY
    assert sum(waits) == pytest.approx(1.0)
    assert told == [AWAY] * len(waits)  # the last failure is raised, and no try follows of which to tell


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code.name not in ("UNAVAILABLE", "ABORTED")])
def test_a_refusal_is_said_at_once(code: grpc.StatusCode) -> None:
    told: list[CallError] = []
    refusal = CallError(code, "no")
    with pytest.raises(CallError, match=f"{code.name}: no"):
        Patience(notice=told.append).go_on(refusal, Patience().pauses())
    assert told == []


def test_what_a_notice_raises_ends_the_call() -> None:
    def enough(error: CallError) -> None:
        raise TimeoutError(str(error))

    with pytest.raises(TimeoutError, match="UNAVAILABLE: not there"):
        Patience(notice=enough).go_on(AWAY, Patience().pauses())
