"""Claims about the runner: events in order, errors delivered, cancelling ends the thread."""

from __future__ import annotations

import pickle
import threading
import time

import pytest

from napari_gland_mtl.errors import InvalidInputError
from napari_gland_mtl.jobs.events import JobFailed, Notice, Started, TileDone
from napari_gland_mtl.jobs.runner import JobRunner, JobState
from napari_gland_mtl.jobs.stop import StopToken

TIMEOUT = 10


def finished(runner):
    runner.start()
    assert runner.wait(TIMEOUT)
    return runner.poll()


def test_events_arrive_in_order_and_once():
    events = [Started(3), TileDone(1, 3), Notice("half way"), TileDone(2, 3), TileDone(3, 3)]
    runner = JobRunner(lambda stop: iter(events))
    assert finished(runner) == events
    assert runner.poll() == []
    assert runner.status.state is JobState.FINISHED


def test_the_job_runs_in_a_thread_of_its_own_that_is_no_daemon():
    seen = []

    def job(stop):
        seen.append(threading.current_thread())
        yield Started(1)

    finished(JobRunner(job, name="a name"))
    assert seen[0] is not threading.current_thread()
    assert (seen[0].name, seen[0].daemon) == ("a name", False)


def test_cancel_ends_an_endless_job_which_may_still_say_something():
    def job(stop):
        yield Started(0)
        while not stop.stopped:
            time.sleep(0.005)
            yield Notice("working")
        yield Notice("kept what was done")

    runner = JobRunner(job)
    runner.start()
    assert not runner.wait(0.1)
    assert runner.status.state is JobState.RUNNING
    runner.cancel()
    runner.cancel()
    assert runner.wait(TIMEOUT)
    assert runner.status.state is JobState.STOPPED
    assert runner.poll()[-1] == Notice("kept what was done")
    assert not runner.running


@pytest.mark.parametrize("error", [InvalidInputError("mend it so"), KeyboardInterrupt()])
def test_an_error_is_the_last_event_and_in_the_status(error):
    def job(stop):
        yield Started(1)
        raise error

    runner = JobRunner(job)
    assert finished(runner) == [Started(1), JobFailed(error)]
    assert runner.status.state is JobState.FAILED
    assert runner.status.error is error


def test_an_error_before_the_first_event_is_delivered_too():
    def job(stop):
        raise InvalidInputError("no such model")

    runner = JobRunner(job)
    (failed,) = finished(runner)
    assert str(failed.error) == "no such model"


def test_no_event_is_missing_once_the_status_says_that_the_job_has_ended():
    runner = JobRunner(lambda stop: iter([TileDone(n, 500) for n in range(1, 501)]))
    events = []
    runner.start()
    ended = False
    while not ended:
        ended = runner.status.state.ended
        events += runner.poll()
    assert [event.done for event in events] == list(range(1, 501))


def test_status_counts_and_estimates_the_time_left():
    gate, reached = threading.Event(), threading.Event()

    def job(stop):
        yield Started(4)
        for done in (1, 2, 3):
            time.sleep(0.05)
            yield TileDone(done, 4)
        reached.set()
        gate.wait(TIMEOUT)

    runner = JobRunner(job)
    assert (runner.status.state, runner.status.remaining) == (JobState.WAITING, None)
    runner.start()
    assert reached.wait(TIMEOUT)
    status = runner.status
    gate.set()
    assert runner.wait(TIMEOUT)
    assert (status.done, status.total) == (3, 4)
    assert 0 <= status.remaining < 1
    assert runner.status.remaining is None
    assert runner.status.elapsed == runner.status.elapsed > 0.1


def test_a_runner_is_used_once():
    runner = JobRunner(lambda stop: iter(()))
    finished(runner)
    with pytest.raises(InvalidInputError, match="new runner"):
        runner.start()


def test_a_runner_that_never_started_has_nothing_to_wait_for():
    runner = JobRunner(lambda stop: iter(()))
    assert runner.wait(TIMEOUT)
    assert not runner.running


def test_events_can_be_pickled_and_not_changed():
    event = TileDone(1, 2)
    assert pickle.loads(pickle.dumps(event)) == event  # noqa: S301 - our own bytes
    with pytest.raises(AttributeError):
        event.done = 2


def test_a_token_stays_up():
    token = StopToken()
    assert not token.stopped
    token.stop()
    token.stop()
    assert token.stopped
