# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs: progress, cancelling within half a second, errors as sentences, one job at a time."""

import threading
import time

import pytest
from lca_blender.backend import jobs
from lca_blender.backend.errors import UserError


@pytest.fixture(autouse=True)
def clean_worker():
    yield
    jobs.shutdown()


def ended(job, seconds=5.0):
    """Waits until a job has ended; False where it does not in time."""
    deadline = time.monotonic() + seconds
    while not job.ended and time.monotonic() < deadline:
        time.sleep(0.001)
    return job.ended


def test_work_is_done_on_a_thread_of_its_own():
    threads = []

    def target(progress, cancelled):
        threads.append(threading.current_thread())
        return 6 * 7

    job = jobs.start(target)
    assert ended(job)
    assert job.result == 42
    assert job.state == jobs.DONE
    assert job.fraction == 1.0
    assert threads[0] is not threading.main_thread()


def test_the_current_job_is_the_first_that_has_not_ended():
    release = threading.Event()
    assert jobs.current() is None
    first = jobs.start(lambda progress, cancelled: release.wait(5))
    second = jobs.start(lambda progress, cancelled: release.wait(5))
    assert jobs.current() is first
    first.cancel()
    assert jobs.current() is second
    release.set()
    assert ended(second)
    assert jobs.current() is None


def test_progress_never_goes_back_or_out_of_range():
    seen = []
    job = None
    ready = threading.Event()

    def target(progress, cancelled):
        ready.wait(5)
        for fraction in (0.1, 0.5, 0.3, -1.0, 0.6, 7.0):
            progress(fraction, f"at {fraction}")
            seen.append(job.fraction)

    job = jobs.start(target)
    ready.set()
    assert ended(job)
    assert seen == [0.1, 0.5, 0.5, 0.5, 0.6, 1.0]
    assert job.message == "at 7.0"


def test_cancel_is_felt_within_half_a_second():
    started, stopped = threading.Event(), threading.Event()

    def target(progress, cancelled):
        started.set()
        try:
            while True:
                progress(0.1, "turning")
                time.sleep(0.01)
        finally:
            stopped.set()

    job = jobs.start(target)
    assert started.wait(5)
    began = time.monotonic()
    job.cancel()
    assert job.ended
    assert stopped.wait(0.5)
    assert time.monotonic() - began < 0.5
    assert job.state == jobs.CANCELLED
    assert job.result is None
    assert job.error is None


def test_cancel_ends_a_job_whose_work_is_one_long_call_and_drops_its_result():
    release, started = threading.Event(), threading.Event()

    def target(progress, cancelled):
        started.set()
        release.wait(5)
        return "too late"

    job = jobs.start(target)
    assert started.wait(5)
    job.cancel()
    assert job.state == jobs.CANCELLED
    release.set()
    after = jobs.start(lambda progress, cancelled: "next")
    assert ended(after)
    assert job.state == jobs.CANCELLED
    assert job.result is None
    assert after.result == "next"


def test_cancelled_before_it_ran_is_never_run():
    release = threading.Event()
    ran = []
    jobs.start(lambda progress, cancelled: release.wait(5))
    second = jobs.start(lambda progress, cancelled: ran.append(1))
    second.cancel()
    release.set()
    third = jobs.start(lambda progress, cancelled: None)
    assert ended(third)
    assert ran == []


def test_user_error_is_kept_as_it_is():
    error = UserError("The photo is dark.", "Take a brighter one.")

    def target(progress, cancelled):
        raise error

    job = jobs.start(target)
    assert ended(job)
    assert job.state == jobs.FAILED
    assert job.error is error
    assert job.message == "The photo is dark."


def test_unexpected_exception_is_one_sentence_and_a_logged_traceback(caplog):
    def target(progress, cancelled):
        raise ZeroDivisionError("division by zero\nand a second line")

    job = jobs.start(target, name="Creating the avatar")
    assert ended(job)
    assert job.state == jobs.FAILED
    assert isinstance(job.error, UserError)
    assert "\n" not in str(job.error)
    assert "Creating the avatar failed unexpectedly" in str(job.error)
    assert "division by zero" in str(job.error)
    assert any(record.exc_info for record in caplog.records)


def test_jobs_run_one_at_a_time_in_order():
    order, running = [], []

    def work(number):
        def target(progress, cancelled):
            running.append(number)
            assert len(running) == 1
            time.sleep(0.02)
            running.remove(number)
            order.append(number)

        return target

    started = [jobs.start(work(number)) for number in range(4)]
    assert all(ended(job) for job in started)
    assert order == [0, 1, 2, 3]
    assert all(job.state == jobs.DONE for job in started)


def test_run_sync_returns_raises_and_reports():
    reports = []

    def target(progress, cancelled):
        assert not cancelled()
        progress(0.5, "half")
        progress(0.2, "still half")
        return "result"

    assert jobs.run_sync(target, on_progress=lambda *report: reports.append(report)) == "result"
    assert reports == [(0.5, "half"), (0.5, "still half")]
    with pytest.raises(KeyError):
        jobs.run_sync(lambda progress, cancelled: {}["missing"])
