"""Every check of the project; `nox` alone runs those that guard each change.

nox                  lint, types, arch, docs, driver_package, demo, tests
nox -s tests -- -k mqtt       words after -- go to pytest
nox -s thorough      the tests at full length: each checkpoint, uvloop, many examples
nox -s versions      the tests on each Python that is installed, pyenv's and uv's too
nox -s examples      of the tests, those of what stands in examples and in the pages
nox -s engines      the MQTT tests on the package distmqtt as well
nox -s originals bench   longer runs: the original packages, the other clients
nox -s polling commands devices  longer runs: many strips, commands to plugs, devices
nox -s interop faults fuzz   longer runs: other brokers, broken networks, bad bytes
nox -s home_assistant   Home Assistant itself beside the gateway
nox -s browser       the dashboard in Chromium; -- -k chart goes to pytest
nox -s screenshots   the pictures in the documentation, made anew
nox -s influxdb     readings in a real InfluxDB (its program influxd, or INFLUXD=path)
nox -s hostile      peers that want harm; prints a table of the harm they did
nox -s month        a month of all troubles for one device of each kind; 40 minutes
nox -s kills        `structiot run` killed 400 times, with its own broker and with Mosquitto
nox -s soak         clients that come and go for a minute each; STRUCTIOT_SOAK_S=600
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

import nox

PYPROJECT = nox.project.load_toml("pyproject.toml")
SUPPORTED = ["3.11", "3.12", "3.13", "3.14"]
SOAK = "tests/hostile/test_soak.py"
MONTH = "tests/year/test_a_month.py"
AXE = "axe-core@4.14.1"
EXAMPLES = [
    f"tests/test_{what}.py" for what in ("examples", "documents", "shell_blocks")
]
# Four workers for two cores: many tests wait for programs and sockets.
PARALLEL = ["-n", "4", "--dist", "worksteal"]
BLOCKING_CALLS = (
    "socket.gethostbyname->anyio.getaddrinfo,"
    "hashlib.pbkdf2_hmac->anyio.to_thread.run_sync"
)

# pip asks the system which certificates to trust; uv has to be told to.
os.environ.setdefault("UV_SYSTEM_CERTS", "true")
# Images for containers set this. Here hundreds of programs are started, and each would
# be compiled anew: a quarter of the processor time of the tests of commands.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def find_what_is_beside_the_path() -> None:
    """Find the Pythons of pyenv and uv where no PATH leads, and uv beside nox."""
    home, given = Path.home(), os.environ.get
    pyenv = Path(given("PYENV_ROOT") or home / ".pyenv") / "versions"
    uv = Path(
        given("UV_PYTHON_INSTALL_DIR") or home / ".local" / "share" / "uv" / "python"
    )
    found = [*sorted(pyenv.glob("3.*/bin")), *sorted(uv.glob("cpython-3*/bin"))]
    folders = map(str, [*found, Path(sys.executable).parent])
    os.environ["PATH"] = os.pathsep.join([os.environ["PATH"], *folders])
    # The shims of pyenv may come before: they run only what is chosen here.
    chosen = [folder.parent.name for folder in found if folder.is_relative_to(pyenv)]
    if chosen:
        os.environ.setdefault("PYENV_VERSION", ":".join(chosen))


find_what_is_beside_the_path()

nox.needs_version = ">=2026.10.20"
# One core waits for much of what the small sessions do. Who asks for one by its name
# sees what it says at once.
if len(sys.argv) == 1:
    nox.options.parallel = os.cpu_count()
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_venv = "yes"
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = False
nox.options.sessions = [
    "lint",
    "types",
    "docs",
    "arch",
    "driver_package",
    "demo",
    # Alone: of time, many tests have only so much.
    "tests",
]


def install(session: nox.Session, *groups: str) -> None:
    """Put the project and the dependency groups into the session's environment."""
    packages = nox.project.dependency_groups(PYPROJECT, *groups)
    session.install("-e", ".[all]", *packages)


def pytest(
    session: nox.Session, *arguments: str, env: dict[str, str] | None = None
) -> None:
    """Run pytest; `-bb` makes a comparison of bytes with str an error.

    The workers of xdist get it by `tests/_support/workers.py`.
    """
    session.run("python", "-bb", "-m", "pytest", *arguments, env=env)


def async_files(*folders: str) -> list[str]:
    """Give the files that the checker of async misuse has to read; it is slow."""
    return [
        str(path)
        for folder in folders
        for path in sorted(Path(folder).rglob("*.py"))
        if re.search(r"\b(async|await)\b", path.read_text("utf-8"))
    ]


@nox.session(allow_parallel=True)
def lint(session: nox.Session) -> None:
    """Check style, formatting, misuse of async, spelling and declared dependencies."""
    install(session, "lint")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    # The plugin of flake8: the program flake8-async has one process.
    session.run(
        "flake8",
        "--jobs=auto",
        "--isolated",
        "--select=ASYNC",
        "--anyio",
        "--enable=ASYNC",
        # 114 wants to know names that it cannot; 127 advises against httpx, for which
        # there is one door to change once its successor has settled; 91x want a
        # checkpoint on every path, which a buffered fast path must not have. 100 and 300
        # ruff has as well (as RUF006), in a thousandth of the time.
        "--disable=ASYNC100,ASYNC114,ASYNC127,ASYNC300,ASYNC91",
        f"--async200-blocking-calls={BLOCKING_CALLS}",
        *async_files("structiot", "examples"),
    )
    session.run("codespell")
    session.run("deptry", "structiot")
    session.run("hadolint", "deploy/Dockerfile")
    if shutil.which("systemd-analyze"):
        _check_unit(session)


def _check_unit(session: nox.Session) -> None:
    """Have systemd read the unit file, and see that the service may do little."""
    # The program need not be installed where it says.
    text = Path("deploy/structiot.service").read_text("utf-8")
    unit = Path(session.create_tmp()) / "structiot.service"
    unit.write_text(text.replace("/opt/structiot/bin/structiot", "/bin/true"), "utf-8")
    analyze = ("systemd-analyze", "--no-pager")
    session.run(*analyze, "verify", str(unit), external=True)
    # From 0, nothing may be done, to 100, everything.
    limits = ("--offline=true", "--threshold=20")
    session.run(*analyze, "security", *limits, str(unit), external=True, silent=True)


@nox.session(allow_parallel=True)
def types(session: nox.Session) -> None:
    """Check the types of everything, and that every public name has them all."""
    install(session, "types")
    session.run("mypy")
    session.run("pyright", "--verifytypes", "structiot", "--ignoreexternal")


@nox.session(allow_parallel=True)
def arch(session: nox.Session) -> None:
    """Check who imports whom, sizes, tested errors and documented names."""
    install(session, "arch")
    session.run("lint-imports")
    pytest(session, "-q", "tests/test_architecture.py")


def run_tests(session: nox.Session, *options: str) -> None:
    """Run all that does not judge the sources, in parallel unless told otherwise."""
    arguments = session.posargs or PARALLEL
    pytest(session, *options, "--ignore=tests/test_architecture.py", *arguments)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests on the Python that runs nox."""
    install(session, "test")
    run_tests(session)


@nox.session
def thorough(session: nox.Session) -> None:
    """Run the tests on each loop, cancelled at each checkpoint, with many examples."""
    install(session, "test")
    arguments = session.posargs or PARALLEL
    pytest(session, "-q", "--thorough", "--uvloop", "--timeout=120", *arguments)


@nox.session(python=SUPPORTED)
def versions(session: nox.Session) -> None:
    """Run the tests on each supported Python that is installed."""
    install(session, "test")
    run_tests(session)


@nox.session(allow_parallel=True)
def docs(session: nox.Session) -> None:
    """Build the pages; a warning is an error."""
    install(session, "docs")
    output = Path("docs/_build/html")
    options = ("-W", "-n", "--keep-going", "-q")
    session.run("sphinx-build", *options, "docs", str(output))
    session.log(f"open {output / 'index.html'}")


@nox.session
def examples(session: nox.Session) -> None:
    """Run the examples, and all code that stands in the README and in the pages."""
    install(session, "test")
    pytest(session, "-q", *EXAMPLES, *(session.posargs or PARALLEL))


@nox.session(allow_parallel=True)
def driver_package(session: nox.Session) -> None:
    """Install a system that is no part of the project, and run its own tests."""
    session.install(".[testing]", "./examples/driver_package")
    with session.chdir("examples/driver_package"):
        pytest(session, "-q", *session.posargs)


@nox.session(allow_parallel=True)
def demo(session: nox.Session) -> None:
    """Run `structiot demo` as a user does, and stop it as a user does."""
    session.install(".")
    session.run("python", "scripts/check_demo.py")


@nox.session
def originals(session: nox.Session) -> None:
    """Let the original packages, unmodified, discover and switch our simulators."""
    install(session, "test")
    pytest(session, "-q", "tests/originals", *session.posargs)


@nox.session
def engines(session: nox.Session) -> None:
    """Run what every engine passes on the package distmqtt, in an old environment."""
    packages = nox.project.dependency_groups(PYPROJECT, "test")
    session.install("-e", ".[all,distmqtt]", *packages)
    arguments = session.posargs or ["-n", "2", "--dist", "loadscope"]
    pytest(session, "-q", "tests/engines", "--engines", "distmqtt", *arguments)


@nox.session
def interop(session: nox.Session) -> None:
    """Try other brokers and other clients; tests/interop_mqtt/README.md has which."""
    session.run("scripts/prepare.sh", "interop", external=True)
    install(session, "test")
    pytest(session, "-q", "tests/interop_mqtt", *session.posargs)


@nox.session
def home_assistant(session: nox.Session) -> None:
    """Run Home Assistant beside the gateway; its own Python, 3.13, gets it from PyPI."""
    install(session, "test")
    pytest(session, "-q", "tests/home_assistant", *session.posargs)


@nox.session
def browser(session: nox.Session) -> None:
    """Try the dashboard in Chromium, with axe-core from npm to judge how it is to use."""
    session.run("scripts/prepare.sh", "browser", external=True)
    install(session, "test", "browser")
    folder = Path(session.cache_dir) / AXE
    source = folder / "package" / "axe.min.js"
    if not source.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with session.chdir(folder):
            session.run("npm", "pack", AXE, external=True)
            session.run("tar", "xzf", "axe-core-4.14.1.tgz", external=True)
    # Windows and pictures take a processor: one worker, and time for a busy machine.
    arguments = ("--timeout=120", "tests/browser", *session.posargs)
    for backend in ("asyncio", "trio"):
        given = {"STRUCTIOT_AXE": str(source.resolve()), "STRUCTIOT_BACKEND": backend}
        pytest(session, "-q", *arguments, env=given)


@nox.session
def screenshots(session: nox.Session) -> None:
    """Make the pictures of the dashboard in the documentation, from simulated devices."""
    session.run("scripts/prepare.sh", "browser", external=True)
    install(session, "browser")
    session.run("python", "scripts/screenshots.py")


@nox.session
def faults(session: nox.Session) -> None:
    """Break connections and kill processes while messages that count are under way."""
    install(session, "test")
    pytest(session, "-q", "tests/faults_long", *session.posargs)


@nox.session
def hostile(session: nox.Session) -> None:
    """Let hostile peers at it; watch the loop, the memory and a good client."""
    install(session, "test")
    # Large blocks are given back as they are freed: else glibc keeps them in its heap from
    # the second time on, and what one test holds depends on those before it.
    environment = {"MALLOC_MMAP_THRESHOLD_": "131072"}
    arguments = ("-q", "tests/hostile", f"--ignore={SOAK}", *session.posargs)
    pytest(session, *arguments, env=environment)
    if not session.posargs:
        pytest(session, "-q", "-m", "watched_loop", "--judge-time", "--thorough")


@nox.session
def soak(session: nox.Session) -> None:
    """Let 300 clients come and go, and look what is left of them."""
    install(session, "test")
    environment = {"PYTHONMALLOC": "malloc", "MALLOC_MMAP_THRESHOLD_": "131072"}
    pytest(session, "-q", SOAK, *session.posargs, env=environment)


@nox.session
def year(session: nox.Session) -> None:
    """Let a year pass for a strip, and a day for 25 Meross devices that nobody bans."""
    install(session, "test")
    arguments = ("-q", "-s", "tests/year", f"--ignore={MONTH}", *session.posargs)
    pytest(session, *arguments)


@nox.session
def month(session: nox.Session) -> None:
    """Let a month of all troubles pass for a gateway; STRUCTIOT_MONTH_DAYS shortens it."""
    install(session, "test")
    pytest(session, "-q", "-s", MONTH, *session.posargs)


@nox.session
def kills(session: nox.Session) -> None:
    """Kill the gateway 200 times with its own broker, and 200 times with Mosquitto."""
    install(session, "test")
    arguments = ("-q", "--thorough", "tests/e2e/test_run_killed.py", *session.posargs)
    pytest(session, *arguments)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Let a fuzzer look for bytes that our decoders do not bear, ten minutes each."""
    install(session)
    session.install("atheris")
    arguments = session.posargs or ["-max_total_time=600"]
    for fuzzer in ("fuzz_mqtt.fuzz_decoder", "fuzz_manager.fuzz_dialects"):
        session.run("python", "-m", f"tests.{fuzzer}", *arguments)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure this client beside the others; each peer gets an environment."""
    install(session)
    session.run("python", "benchmarks/mqtt_client.py", *session.posargs)


@nox.session
def polling(session: nox.Session) -> None:
    """Measure how many strips one process can poll; TCP 80 must be allowed."""
    install(session)
    session.run("python", "benchmarks/maxsmart_polling.py", *session.posargs)


@nox.session
def commands(session: nox.Session) -> None:
    """Measure commands to Meross plugs beside meross-iot; TCP 80 must be allowed."""
    install(session)
    session.run("python", "benchmarks/meross_commands.py", *session.posargs)


@nox.session
def devices(session: nox.Session) -> None:
    """Measure how many devices a manager bears, beside iot-manager."""
    install(session)
    session.run("python", "benchmarks/manager.py", *session.posargs)


@nox.session
def gateways(session: nox.Session) -> None:
    """Measure what a connector with a thousand devices costs."""
    install(session)
    session.run("python", "benchmarks/connector.py", *session.posargs)


@nox.session(venv_backend="uv")
def lowest(session: nox.Session) -> None:
    """Run the tests on the oldest dependencies that the project says it accepts."""
    packages = nox.project.dependency_groups(PYPROJECT, "test")
    session.install("--resolution=lowest-direct", "-e", ".[all]", *packages)
    run_tests(session, "-q")


@nox.session
def wheel(session: nox.Session) -> None:
    """Run the tests on the built wheel, far from the sources: is it complete?"""
    packages = nox.project.dependency_groups(PYPROJECT, "test")
    session.install(".[all]", *packages)
    away = Path(session.create_tmp()) / "away"
    shutil.rmtree(away, ignore_errors=True)
    for folder in ("benchmarks", "deploy", "docs", "examples", "scripts", "tests"):
        shutil.copytree(folder, away / folder)
    for file in ("README.md", "noxfile.py", "pyproject.toml"):
        shutil.copy(file, away)
    session.chdir(away)
    run_tests(session, "-q")


@nox.session
def influxdb(session: nox.Session) -> None:
    """Send readings to a real InfluxDB."""
    install(session, "test")
    pytest(session, "-q", "tests/interop_influxdb", *session.posargs)
