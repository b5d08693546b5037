"""Claims about the runner: events in order, errors delivered, cancelling ends the thread."""

from __future__ import annotations

import pickle
import subprocess
import sys
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


def counting(steps, seconds=0.02):
    """A job that counts, and what it has counted so far."""
    done = []

    def job(stop):
        yield Started(steps)
        for number in range(1, steps + 1):
            time.sleep(seconds)
            done.append(number)
            yield TileDone(number, steps)
            if stop.stopped:
                return

    return job, done


def test_a_paused_job_waits_and_goes_on_where_it_was():
    job, done = counting(40)
    runner = JobRunner(job)
    runner.start()
    time.sleep(0.1)
    runner.pause()
    runner.pause()
    assert runner.status.state is JobState.PAUSED
    assert runner.running
    time.sleep(0.3)
    held = len(done)
    time.sleep(0.3)
    assert 0 < len(done) == held < 40
    runner.go_on()
    assert runner.status.state is JobState.RUNNING
    assert runner.wait(TIMEOUT)
    assert done == list(range(1, 41))
    assert runner.status.state is JobState.FINISHED


def test_pauses_count_for_nothing():
    job, _ = counting(10, seconds=0.05)
    runner, began = JobRunner(job), time.monotonic()
    runner.start()
    time.sleep(0.2)
    runner.pause()
    time.sleep(0.1)  # for the step in work
    before = runner.status
    time.sleep(0.5)
    after = runner.status
    assert after.remaining == before.remaining > 0
    assert after.elapsed == before.elapsed > 0
    runner.go_on()
    assert runner.wait(TIMEOUT)
    # Ten steps of 0.05 s, but for what the one in work still took after the pause was asked for.
    assert 0.44 <= runner.status.elapsed <= time.monotonic() - began - 0.6


def test_a_paused_job_can_be_stopped_at_once():
    job, done = counting(1000)
    runner = JobRunner(job)
    runner.start()
    time.sleep(0.1)
    runner.pause()
    time.sleep(0.1)
    runner.cancel()
    began = time.monotonic()
    assert runner.wait(TIMEOUT)
    assert time.monotonic() - began < 5  # of twenty seconds
    assert runner.status.state is JobState.STOPPED
    assert len(done) < 200
    runner.pause()
    runner.go_on()
    assert runner.status.state is JobState.STOPPED


def test_only_a_running_job_can_be_paused():
    runner = JobRunner(counting(2)[0])
    runner.pause()
    assert runner.status.state is JobState.WAITING
    runner.go_on()
    finished(runner)
    assert runner.status.state is JobState.FINISHED


def test_work_that_asks_for_stopped_alone_waits_while_paused():
    token, answers = StopToken(), []
    thread = threading.Thread(target=lambda: answers.append(token.patient().stopped))
    token.pause()
    assert token.paused
    thread.start()
    thread.join(0.3)
    assert not answers
    token.unpause()
    thread.join(TIMEOUT)
    assert answers == [False]
    token.pause()
    token.stop()
    assert (token.patient().stopped, token.paused) == (True, False)


def test_a_token_stays_up():
    token = StopToken()
    assert not token.stopped
    token.stop()
    token.stop()
    assert token.stopped


@pytest.mark.parametrize("paused", [False, True])
def test_a_program_that_ends_without_a_word_is_not_held_up_by_its_jobs(paused):
    script = """
import sys, time
from napari_gland_mtl.jobs.runner import JobRunner

def silent(stop):  # says nothing once it has begun, like one that waits for a file to grow
    yield "begun"
    while not stop.stopped:
        time.sleep(0.01)

runner = JobRunner(silent)
runner.start()
while not runner.poll():
    time.sleep(0.01)
if sys.argv[1] == "True":
    runner.pause()
raise SystemExit("ended early")
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(paused)], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr.strip()) == (1, "ended early")
