"""What a process does to a library: fork, threads, signals, import."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import platform
import signal
import sys
import threading

import numpy as np
import pytest
from processes import added_memory, run

import fastinit as fi
from fastinit import _core


def _child(queue: object) -> None:
    queue.put(fi.normal(2**20, seed=1, num_threads=2).tobytes())  # type: ignore[attr-defined]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_fork_after_use() -> None:
    want = fi.normal(2**20, seed=1, num_threads=2).tobytes()
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_child, args=(queue,))
    child.start()
    assert queue.get(timeout=60) == want
    child.join(60)
    assert child.exitcode == 0


def test_32_python_threads_at_once() -> None:
    want = fi.normal(300_000, seed=2).tobytes()
    results: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: results.append(fi.normal(300_000, seed=2, num_threads=3).tobytes()))
        for _ in range(32)
    ]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert results == [want] * 32


def test_one_generator_from_many_threads() -> None:
    rng = fi.default_rng(0)
    parts: list[np.ndarray] = []
    threads = [threading.Thread(target=lambda: parts.append(rng.random(1000))) for _ in range(16)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted(np.concatenate(parts)) == sorted(fi.uniform(16_000, seed=0, dtype="float64"))


# Minutes, or some seconds, of work in one call.
LONG = {
    "far tails": "fi._core.fill([(np.empty(2**20), 1, 2, 0.0, 1.0, 5.0, 6.0, 1, 0, None)] * 3000, 1)",
    "tall columns": "fi.sparse((2**32, 16), shard=(slice(0, 1), slice(None)), num_threads=2)",
    "values of an array": "fi.constant((300_000, 1000), np.zeros(1000), dtype='float8_e5m2')",
    "means of an array": "fi.default_rng(0).normal(np.zeros(1000), 1.0, (200_000, 1000), dtype='float8_e5m2')",
}


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
@pytest.mark.parametrize("call", LONG)
def test_ctrl_c_stops_a_long_fill(call: str) -> None:
    code = f"""
        import signal, sys, threading, time, os
        import numpy as np, fastinit as fi
        signal.signal(signal.SIGINT, signal.default_int_handler)
        def press():
            time.sleep(0.5)
            global pressed
            pressed = time.perf_counter()
            os.kill(os.getpid(), signal.SIGINT)
        threading.Thread(target=press, daemon=True).start()
        try:
            {LONG[call]}
        except KeyboardInterrupt:
            print("late", time.perf_counter() - pressed)
            sys.exit(0 if time.perf_counter() - pressed < 0.2 else 3)
        sys.exit(4)
    """
    done = run(code)
    assert done.returncode == 0, (done.stdout, done.stderr)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers on this system")
def test_a_handler_of_signals_draws_from_the_generator_that_it_interrupts() -> None:
    rng, drawn = fi.default_rng(0), []
    before = signal.signal(signal.SIGALRM, lambda *_: drawn.append(rng.random()))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        while not drawn:
            rng.normal(size=2**22)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert 0.0 <= drawn[0] < 1.0


# Bits of the register of control on x86-64.
MODES = {"down": 0x2000, "up": 0x4000, "toward zero": 0x6000, "without subnormal numbers": 0x8040}


@pytest.mark.skipif(sys.platform != "linux" or platform.machine() != "x86_64", reason="knows the register of x86-64")
@pytest.mark.parametrize("mode", MODES)
def test_values_do_not_follow_the_floating_point_mode_of_the_thread(mode: str) -> None:
    calls = [lambda: fi.normal(1001, seed=0), lambda: fi.uniform(99, seed=0), lambda: fi.normal(99, std=1e-39, seed=0),
             lambda: fi.normal(2**18, seed=0, num_threads=2), lambda: fi.truncated_normal(999, dtype="float16", seed=0),
             lambda: fi.orthogonal((40, 30), gain=1e-39, seed=0), lambda: fi.orthogonal((300, 300), seed=0),
             lambda: np.array(fi.propagation.moments("gelu", 1.3))]
    want = [call().tobytes() for call in calls]
    libm, usual = ctypes.CDLL("libm.so.6"), (ctypes.c_uint32 * 8)()
    libm.fegetenv(usual)
    other, after = (type(usual).from_buffer_copy(usual) for _ in range(2))
    other[7] |= MODES[mode]
    libm.fesetenv(other)
    try:
        got = [call().tobytes() for call in calls]
        libm.fegetenv(after)
    finally:
        libm.fesetenv(usual)
    assert got == want
    assert after[7] & MODES[mode] == MODES[mode]


def test_environment_sets_threads() -> None:
    code = "import fastinit; print(fastinit.get_num_threads())"
    assert run(code, FASTINIT_NUM_THREADS="3").stdout.strip() == "3"
    assert run(code, FASTINIT_NUM_THREADS="", OMP_NUM_THREADS="5,2").stdout.strip() == "5"
    assert int(run(code, FASTINIT_NUM_THREADS="", OMP_NUM_THREADS="many").stdout) >= 1
    assert int(run(code, FASTINIT_NUM_THREADS="9" * 30).stdout) >= 1


@pytest.mark.parametrize("value", ["abc", "0", "-3", "1.5", "2 threads", "4,2"])
def test_impossible_number_of_threads_is_an_error(value: str) -> None:
    message = f"FASTINIT_NUM_THREADS must be an int of at least 1, got '{value}'"
    code = """
        import numpy as np, fastinit as fi
        out = np.ones((1024, 1000), np.float16)
        generator = np.random.default_rng(0)
        calls = [
            fi.get_num_threads,
            lambda: fi.normal(out=out),
            lambda: fi.normal(out=out[:1, :10], seed=generator),
            lambda: fi.sparse(out=out[:, :100]),
            lambda: fi.initialize({"w": fi.Spec("normal", out.shape)}, out={"w": out}),
        ]
        for call in calls:
            try:
                call()
            except ValueError as error:
                print(error)
        assert (out == 1).all()
        assert generator.random() == np.random.default_rng(0).random()
        fi.normal(out=out, num_threads=2)
        fi.set_num_threads(2)
        fi.normal(out=out)
        assert fi.get_num_threads() == 2
    """
    done = run(code, FASTINIT_NUM_THREADS=value)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [message] * 5
    done = run("from fastinit.__main__ import main; raise SystemExit(main(['info']))", FASTINIT_NUM_THREADS=value)
    assert (done.returncode, done.stderr) == (2, f"fastinit info: error: {message}\n")


def test_impossible_instruction_set_is_an_error() -> None:
    code = """
        import fastinit
        for call in (fastinit.Philox4x32, lambda seed: fastinit.normal(3, seed=seed)):
            try:
                call(0)
            except ValueError as error:
                print(error)
    """
    done = run(code, FASTINIT_ISA="mmx")
    message = f"FASTINIT_ISA: 'mmx' is not available on this machine; available: {', '.join(fi.available_isas())}"
    assert (done.returncode, done.stdout.splitlines()) == (0, [message] * 2), done.stderr


def test_import_is_light() -> None:
    code = """
        import numpy, sys
        before = set(sys.modules)
        import fastinit
        heavy = {m.split(".")[0] for m in set(sys.modules) - before} & {"ml_dtypes", "tqdm", "torch", "scipy"}
        assert not heavy, heavy
    """
    assert run(code).returncode == 0


# What fills 2**2k numbers, and the bytes of them that are new.
FILLS = {
    "in place": ("fi.normal(out=out(k), num_threads=2)", 0),
    "transposed": ("fi.truncated_normal(out=out(k).T, num_threads=2)", 0),
    "float64 strided": ("fi.uniform(out=out(k).view('f8')[::-1, 1:-1:2], num_threads=2)", 0),
    "far tail": ("fi.truncated_normal(out=out(k)[:2**(k - 2)], lower=5, upper=6, num_threads=2)", 0),
    "shard": ("fi.normal((2**20, 2**20), shard=(slice(0, 2**20, 2**(20 - k)), slice(2**k)), out=out(k))", 0),
    "sparse": ("fi.sparse(out=out(k), num_threads=2)", 0),
    "values of an array": ("fi.constant(out=out(k)[2**(k - 1):], value=out(k)[:2**(k - 1)])", 0),
    "means of an array": ("fi.default_rng(0).normal(out(k)[:2**(k - 1)], 1.0, out=out(k)[2**(k - 1):])", 0),
    "new": ("kept = fi.normal((2**k, 2**k), num_threads=2)", 2**26),
}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("fill", FILLS)
def test_fill_takes_no_memory_beside_its_output(fill: str) -> None:
    code, new = FILLS[fill]
    warm = f"""
full = {{k: np.full((2**k, 2**k), 1, np.float32) for k in (8, 12)}}
out = full.get
k = 8
{code}
k = 12"""
    assert added_memory(warm, code) < new // 1024 + 1024


@pytest.mark.parametrize("call", ["fi.normal(2**24, num_threads=2)", "fi.normal(10, seed=0)", "fi.gain('mish')"])
def test_exit_while_a_daemon_thread_works(call: str) -> None:
    code = f"""
        import threading, time
        import fastinit as fi
        def work():
            while True:
                {call}
                fi._activations._named.cache_clear()
        threads = [threading.Thread(target=work, daemon=True) for _ in range(3)]
        for t in threads:
            t.start()
        time.sleep(0.15)
    """
    for _ in range(3):
        done = run(code)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_exception_inside_a_chunk(threads: int) -> None:
    for fail_at in (0, 1, 500, 999):
        with pytest.raises(RuntimeError, match=f"^chunk {fail_at} failed$"):
            _core.probe_team(1000, threads, fail_at)
    assert sum(_core.probe_team(1000, threads, 1000)) == 1000
    assert _core.probe_team(0, threads, 0) == [0] * threads


def test_propagation_is_there_when_asked_for() -> None:
    done = run("""
        import sys, fastinit as fi
        assert "fastinit.propagation" not in sys.modules
        fi.propagation.propagate
        try:
            fi.nonesuch
        except AttributeError as error:
            print(error)
    """)
    assert done.stdout == "module 'fastinit' has no attribute 'nonesuch'\n", done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space")
@pytest.mark.parametrize("method", ["direct", "qr"])
def test_out_is_untouched_wherever_memory_ends(method: str) -> None:
    code = f"""
        import resource
        import numpy as np, fastinit as fi
        def size():
            return int(next(s.split()[1] for s in open("/proc/self/status") if s.startswith("VmSize"))) * 1024
        fi.orthogonal((300, 300), method="{method}", num_threads=1)
        out = np.full((2000, 2000), 7, np.float32)
        for more in range(0, 64, 2):
            resource.setrlimit(resource.RLIMIT_AS, (size() + more * 2**20, -1))
            try:
                fi.orthogonal(out=out, method="{method}", num_threads=1)
                break
            except MemoryError:
                pass
            finally:
                resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
            assert (out == 7).all(), more
        assert 0 < more < 62, more
    """
    done = run(code)
    assert done.returncode == 0, done.stderr
