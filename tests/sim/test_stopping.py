"""The first signal stops, what is being written is written to its end, and the handlers before are put back."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from vgps_sim.stopping import Stopped, stoppable


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_is_raised_once(number: signal.Signals, code: int) -> None:
    before = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}
    with stoppable() as stop:
        assert stop.exit_code == 0
        with pytest.raises(Stopped, match=number.name) as caught:
            signal.raise_signal(number)
        assert caught.value.exit_code == stop.exit_code == code
        signal.raise_signal(signal.SIGTERM)  # ignored from here on
        assert stop.exit_code == code
    assert {n: signal.getsignal(n) for n in before} == before


def test_a_second_ctrl_c_interrupts_whatever_is_done() -> None:
    with stoppable():
        with pytest.raises(Stopped):
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt) as caught:
            signal.raise_signal(signal.SIGINT)
        assert not isinstance(caught.value, Stopped)


def test_what_is_being_written_is_written_to_its_end() -> None:
    with stoppable() as stop:
        written = []
        with stop.held_back():
            written.append(1)
            os.kill(os.getpid(), signal.SIGTERM)
            written.append(2)
        assert written == [1, 2] and stop.exit_code == 143


def test_other_threads_take_no_signals() -> None:
    codes = []

    def run() -> None:
        with stoppable() as stop:
            codes.append(stop.exit_code)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert codes == [0]
