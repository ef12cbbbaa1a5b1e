import jax
import pytest

from mdepth_jax.errors import UserError
from mdepth_jax.training import hosts


@pytest.mark.parametrize("process", [2, -1])
def test_number_of_the_process(process):
    with pytest.raises(UserError, match=rf"`process` is {process}; with `processes=2` give 0 to 1"):
        hosts.start("localhost:1", processes=2, process=process)


@pytest.mark.parametrize("error", [RuntimeError("DEADLINE_EXCEEDED\nat line 3"), ValueError("no address")])
def test_processes_that_do_not_find_each_other(monkeypatch, error):
    def fail(*arguments):
        raise error

    monkeypatch.setattr(jax.distributed, "initialize", fail)
    reason = str(error).splitlines()[0]
    with pytest.raises(UserError, match=rf"`coordinator=nowhere:1`: .* \({reason}\); give .* its own `process`"):
        hosts.start("nowhere:1", processes=2, process=1)


def test_arguments_of_jax(monkeypatch):
    calls = []
    monkeypatch.setattr(jax.distributed, "initialize", lambda *arguments: calls.append(arguments))
    hosts.start("auto", processes=1, process=0)
    hosts.start("host:9", processes=3, process=2)
    assert calls == [(), ("host:9", 3, 2)]


def test_a_single_host_decides_alone():
    assert hosts.is_first()
    assert hosts.any_host(True)
    assert not hosts.any_host(False)
    hosts.wait_for_all("here")


def test_any_of_several_hosts(monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    for flags in ([False, True], [False, False]):
        monkeypatch.setattr(
            hosts.multihost_utils, "process_allgather", lambda flag, flags=flags: jax.numpy.array(flags)
        )
        assert hosts.any_host(flags[0]) == any(flags)
