import os
import signal

import pytest

from mdepth_jax.training.interrupt import Interrupt


@pytest.mark.parametrize("number", Interrupt.SIGNALS)
def test_the_first_signal_requests_a_stop(number):
    before = {each: signal.getsignal(each) for each in Interrupt.SIGNALS}
    with Interrupt() as interrupt:
        assert not interrupt.requested
        os.kill(os.getpid(), number)
        assert interrupt.requested
        assert {each: signal.getsignal(each) for each in Interrupt.SIGNALS} == before  # a second one ends the process
    assert {each: signal.getsignal(each) for each in Interrupt.SIGNALS} == before


def test_the_second_control_c_ends_the_process():
    with Interrupt() as interrupt:
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupt.requested
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_handlers_are_restored_after_an_error():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(ValueError, match="oops"), Interrupt():
        raise ValueError("oops")
    assert signal.getsignal(signal.SIGTERM) == before
