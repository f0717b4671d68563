"""Our workers and librdkafka's own tools in turns on one warm cluster: what `client-cost`, `consumer-cost` and
`transaction-cost` share.

Builds both from one librdkafka, holds the cluster, starts our workers by hand, and reads what the kernel charges to a process. May
not judge or print results: that is the scripts' work. Standard library only.
"""

import contextlib
import datetime
import json
import os
import platform
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PARTITIONS = 6
LINGER_MS, BATCH_BYTES, QUEUE_BYTES = 5, 65_536, 1 << 30


class Failed(Exception):
    """Something that ends the script with a message."""


def prepare(place):
    """Readies the machine and `place`; a plain end by SIGTERM then closes the cluster as Ctrl-C does."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    subprocess.run([ROOT / "scripts/setup"], check=True)
    cargo_home = os.environ.get("CARGO_HOME", os.path.expanduser("~/.cargo"))
    os.environ["PATH"] = f"{cargo_home}/bin:{os.environ['PATH']}"
    place.mkdir(parents=True, exist_ok=True)


def circumstances():
    """What was run when, of which revision, on what: a figure of something unnamed is no figure."""
    def said(*command):
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    models = re.findall(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return {
        "command": shlex.join([str(Path(sys.argv[0]).resolve().relative_to(ROOT)), *sys.argv[1:]]),
        "revision": said("git", "describe", "--always", "--dirty", "--abbrev=12"),
        "date": datetime.date.today().isoformat(),
        "host": {
            "os": f"Linux {platform.release()}", "cpu": models[0] if models else platform.machine(), "cores": os.cpu_count(),
        },
    }


def scripted(main, name):
    """Runs a script's `main`: a message and 1 for what fails, 130 for Ctrl-C."""
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except (Failed, subprocess.CalledProcessError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        sys.exit(1)


def build_ours():
    """Builds our binary; returns its path and, by crate, where build scripts have put their output."""
    command = ["cargo", "build", "--locked", "--release", "--bin", "bench-runner"]
    answer = subprocess.run(
        [*command, "--message-format=json-render-diagnostics"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    ours, outs = None, {}
    for message in map(json.loads, answer.stdout.splitlines()):
        if message["reason"] == "build-script-executed":
            name = re.search(r"(?:/|#)([a-z0-9_-]+)[@#]", message["package_id"])
            outs[name.group(1) if name else ""] = Path(message["out_dir"])
        if message["reason"] == "compiler-artifact" and message.get("executable"):
            ours = message["executable"]
    source = outs.get("rdkafka-sys")
    if ours is None or source is None or not (source / "src/librdkafka.a").exists():
        raise Failed("cargo names no build of rdkafka-sys with its own librdkafka.a; is another librdkafka linked?")
    return ours, outs


def build_beside(outs, program, place):
    """Links a C program with the librdkafka that cargo has built; returns its path and a line about how."""
    source, settings = outs["rdkafka-sys"], {}
    for line in (source / "Makefile.config").read_text().splitlines():
        if match := re.match(r"(\w+)\+?=\s*(.*)", line):
            settings.setdefault(match[1], []).extend(match[2].split())
    flags = settings["CPPFLAGS"] + settings.get("CFLAGS", [])
    libraries = [f"-L{outs['zstd-sys']}"] if "zstd-sys" in outs else []
    compiler = settings["CC"][0]
    subprocess.run(
        [compiler, *flags, f"-I{source}/src", str(program), "-o", str(place)]
        + settings.get("LDFLAGS", []) + libraries + [str(source / "src/librdkafka.a"), *settings["LIBS"]],
        cwd=source / "examples", check=True, stderr=subprocess.DEVNULL,
    )
    optimised = " ".join(flag for flag in flags if re.match(r"-O|-g|-f", flag))
    version = settings["RDKAFKA_VERSION_STR"][0]
    return str(place), f"librdkafka {version}, one library for both ({compiler} {optimised})"


def build(place):
    """Builds our binary and, in `place`, `rdkafka_performance`; returns both paths and a line about how."""
    ours, outs = build_ours()
    program = outs["rdkafka-sys"] / "examples/rdkafka_performance.c"
    theirs, how = build_beside(outs, program, place / "rdkafka_performance")
    return ours, theirs, how


class Cluster:
    """A local cluster held by the program's hidden verb until our end of its standard input closes."""

    def __init__(self, ours, place):
        self.log = open(place / "cluster.log", "w")
        self.held = subprocess.Popen(
            [ours, "cluster", "--hold"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log,
            text=True, start_new_session=True,
        )
        line = self.held.stdout.readline()
        if not line:
            self.close()
            raise Failed(f"the cluster did not start; its words are in {self.log.name}")
        self.bootstrap = json.loads(line)["bootstrap"]

    def close(self):
        """Lets the cluster end; insists after 30 s."""
        self.held.stdin.close()
        try:
            self.held.wait(30)
        except subprocess.TimeoutExpired:
            self.held.terminate()
            self.held.wait()
        self.log.close()


def reap(process):
    """Waits for a child; returns its exit code and the CPU nanoseconds that the kernel charged to it."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, round((usage.ru_utime + usage.ru_stime) * 1e9)


@contextlib.contextmanager
def child(command, **streams):
    """A child process that does not outlive the block, however that is left."""
    process = subprocess.Popen(command, **streams)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            process.wait()


def run_worker(ours, place, bootstrap, topic, role, attend):
    """One run of `bench-runner worker` in this role; `attend(event, tell)` hears each event and may answer with commands.

    Returns T0, the closing statement and the CPU nanoseconds of the process; the worker's files stay in `place`/worker.
    """
    directory = place / "worker"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    spec = {
        "version": 1, "bootstrap": bootstrap, "topic": topic, "partitions": PARTITIONS, "book": 1,
        "directory": str(directory), "role": role,
    }
    start_ns, done = 0, None
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with open(place / "worker.log", "w") as log, child([ours, "worker"], stderr=log, **streams) as worker:
        def tell(line):
            print(json.dumps(line), file=worker.stdin, flush=True)

        # A worker that ended early has closed its input; its exit code and log tell why.
        with contextlib.suppress(BrokenPipeError):
            tell(spec)
            for event in map(json.loads, worker.stdout):
                if event["event"] == "ready":
                    start_ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC) + 20_000_000
                    tell({"command": "start", "t0_ns": start_ns})
                elif event["event"] == "done":
                    done = event
                attend(event, tell)
        code, cpu_ns = reap(worker)
    if code != 0 or done is None:
        raise Failed(f"our worker failed (exit {code}, {done}); its words are in {place / 'worker.log'}")
    return start_ns, done, cpu_ns


def load_of(size, records):
    """A closed loop of so many records."""
    return {
        "arrival": "max", "record_bytes": size, "warmup_ns": 0, "length": {"records": records}, "producers": 1,
        "compressible_percent": 0, "drain_ns": 60_000_000_000,
    }


def produce(ours, place, bootstrap, topic, size, promise, records, queue_records):
    """One run of our producer: CPU of the process, records per second, and what its own clock said."""
    settings = {
        "acks": "1" if promise == "1" else "all", "retries": 2_147_483_647, "idempotence": promise == "idempotent",
        "linger_ns": LINGER_MS * 1_000_000, "batch_bytes": BATCH_BYTES, "compression": "none", "max_in_flight": 5,
        "queue_records": queue_records, "queue_bytes": QUEUE_BYTES, "request_timeout_ns": 30_000_000_000,
        "delivery_timeout_ns": 120_000_000_000, "extra": {},
    }
    role = {"produce": {
        "producer": 0, "incarnation": 0, "seed": 1, "settings": settings, "load": load_of(size, records),
        "ledger_capacity": records // PARTITIONS * 5 // 4 + 100_000,
    }}
    start_ns, done, cpu_ns = run_worker(ours, place, bootstrap, topic, role, lambda event, tell: None)
    shutil.rmtree(place / "worker")
    if done["total"]["acked"] != records:
        raise Failed(f"our producer failed ({done}); its words are in {place / 'worker.log'}")
    return {
        "process_ns": cpu_ns, "own_ns": done["total"]["cpu_ns"],
        "per_second": records / ((done["ended_ns"] - start_ns) / 1e9), "wakeups": done.get("wakeups_per_request"),
    }


def topic_verb(ours, act, bootstrap, topic):
    subprocess.run([ours, "topic", act, "--bootstrap-server", bootstrap, topic], check=True)
