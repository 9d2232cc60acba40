"""The command line among broken files, full disks, kills and old terminals: one line, and no half file."""

import itertools
import os
import pty
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import corpus
import pytest
import torch
from app_server import ROOT
from client import cpu_seconds
from PIL import Image, PngImagePlugin
from safetensors.torch import load_file, save_file

import nstlib
from nstlib.__main__ import main
from nstlib.encoders import weight_files

HARBOUR, MOSAIC = (str(ROOT / "examples" / name) for name in ("contents/harbour.jpg", "styles/mosaic.jpg"))
QUICK = ["--size", "64", "--iterations", "2", "--quiet"]
ONE_THREAD = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


BOTH = """
import sys
from nstlib.__main__ import main
words, at = sys.argv[1:], sys.argv[1:].index("then")
print([main(words[:at]), main(words[at + 1 :])])
"""


def nst(*arguments: object, environment: dict[str, str] = ONE_THREAD, **options):
    """A command in another process, or two with "then" between them, which import torch once."""
    run = ("-c", BOTH) if "then" in arguments else ("-m", "nstlib")
    command = [sys.executable, *run, *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, env=environment, **options
    )


def told(capsys: pytest.CaptureFixture[str], arguments: list[object]) -> tuple[int, str]:
    """(exit code, what was said) of a command run in this process."""
    try:
        code = main([str(word) for word in arguments])
    except SystemExit as exit:  # argparse's own
        code = int(exit.code or 0)
    error = capsys.readouterr().err
    assert "Traceback" not in error
    assert sum(line.startswith("nstlib:") for line in error.splitlines()) <= 1
    return code, error


@pytest.mark.parametrize(
    "name", ["x", "x.svg", "x.psd", "x.xyz", "x.eps", "x.pdf", ".png", "no/x.png", "x.png/y.png"]
)
def test_a_place_that_cannot_be_saved_to_is_said_before_the_run(name: str, tmp_path: Path, capsys) -> None:
    (tmp_path / "x.png").write_text("mine") if "/y" in name else None
    code, error = told(capsys, ["transfer", "absent.jpg", MOSAIC, "-o", tmp_path / name])
    assert (code == 2 and "cannot save" in error) or "Not a directory" in error


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_said_before_the_run(tmp_path: Path, capsys) -> None:
    tmp_path.chmod(0o500)
    code, error = told(capsys, ["transfer", HARBOUR, MOSAIC, "-o", tmp_path / "x.png", "--iterations", 5000])
    tmp_path.chmod(0o700)
    assert code == 2 and "ermission" in error


def test_a_full_disk_leaves_the_old_file(capsys) -> None:
    target = Path("/dev/full")
    if not target.exists():
        pytest.skip("no /dev/full")
    code, error = told(capsys, ["transfer", HARBOUR, MOSAIC, "-o", target, *QUICK])
    assert code == 2 and "cannot save" in error


def test_every_broken_image_takes_one_line(tmp_path: Path, capsys) -> None:
    for path in corpus.small(tmp_path)[::20]:
        code, error = told(capsys, ["transfer", path, MOSAIC, "-o", tmp_path / "out.png", *QUICK])
        assert code in (0, 2), (path.name, error)


def recipe(folder: Path, text: str, name: str = "recipe.png") -> Path:
    info = PngImagePlugin.PngInfo()
    info.add_itxt("nstlib", text)
    Image.new("RGB", (32, 32)).save(folder / name, pnginfo=info)
    return folder / name


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"settings": null}',
        '{"settings": {}}',
        '{"settings": []}',
        '{"settings": {"size": "large"}}',
        '{"settings": {"size": 1e999}}',
        '{"settings": {"size": NaN}}',
        '{"settings": {"method": {"a": 1}}}',
        '{"settings": {"method": "poly+"}}',
        '{"settings": {"levels": [3]}}',
        '{"settings": {"style_layers": [1, {}]}}',
        '{"settings": {"layer_weights": ["a"], "style_layers": ["relu1_1"]}}',
        '{"settings": {"nothing": 1}}',
        '{"settings": {"lr": "fast"}}',
        '{"settings": {"encoder": "vgg99"}}',
        "[" * 100_000,
        '{"settings":' * 900 + "1" + "}" * 900,
    ],
    ids=lambda text: text[:40],
)
def test_broken_recipes_take_one_line(text: str, tmp_path: Path, capsys) -> None:
    arguments = [MOSAIC, "-o", tmp_path / "out.png", "--recipe", recipe(tmp_path, text), *QUICK[2:]]
    for command in (["transfer", HARBOUR], ["reconstruct"]):
        code, error = told(capsys, [*command, *arguments])
        assert code == 2 and error, text
    assert not (tmp_path / "out.png").exists()


def test_a_recipe_beside_a_bomb_is_read_without_decoding_it(tmp_path: Path, capsys) -> None:
    (tmp_path / "bomb.png").write_bytes(corpus.png(30_000, 30_000, 8, 2))
    arguments = ["transfer", HARBOUR, MOSAIC, "-o", tmp_path / "o.png", "--recipe", tmp_path / "bomb.png"]
    code, error = told(capsys, arguments)
    assert code == 2 and "bomb.png is 30000 x 30000 px, over the limit" in error


def test_a_recipe_of_a_reconstruction_repeats_it(tmp_path: Path, capsys) -> None:
    first, again = tmp_path / "a.png", tmp_path / "b.png"
    assert told(capsys, ["reconstruct", MOSAIC, "-o", first, "--layer", 2, *QUICK])[0] == 0
    assert told(capsys, ["reconstruct", MOSAIC, "-o", again, "--recipe", first, "--quiet"])[0] == 0
    assert nstlib.load_image(first).equal(nstlib.load_image(again))


def test_weights_of_any_shape_take_one_line_and_nothing_is_written(tmp_path: Path, capsys) -> None:
    good, chance = load_file(weight_files.EMBEDDED), random.Random(0)
    name = next(key for key, value in good.items() if value.dim() == 4)
    broken = {
        "empty": {},
        "one": {name: good[name]},
        "flat": good | {name: good[name].flatten()},
        "few": good | {name: good[name][:1]},
        "wide": good | {name: good[name].repeat(1, 3, 1, 1)},
        "deep": good | {name: good[name][None]},
        "nan": good | {name: good[name].float() * float("nan")},
        "infinite": good | {name: torch.full_like(good[name].float(), float("inf"))},
        "large": {key: value.float() * 1e30 for key, value in good.items()},
        "nothing": good | {name: torch.zeros(0)},
    }
    files = []
    for kind, state in broken.items():
        files.append(tmp_path / f"{kind}.safetensors")
        save_file({key: value.contiguous() for key, value in state.items()}, files[-1])
    raw = weight_files.EMBEDDED.read_bytes()
    for kind, data in (("cut", raw[:5000]), ("head", b"\xff" * 8 + raw[8:]), ("text", b"hello"), ("no", b"")):
        files += [tmp_path / f"{kind}.safetensors", tmp_path / f"{kind}.pth"]
        files[-1].write_bytes(data)
        files[-2].write_bytes(data)
    changed = bytearray(raw)
    for _ in range(50):
        changed[chance.randrange(2000)] = chance.randrange(256)
    (tmp_path / "changed.safetensors").write_bytes(changed)
    torch.save({name: "text", "other": [1, 2]}, tmp_path / "strange.pth")
    torch.save([good], tmp_path / "list.pth")
    for path in [
        *files,
        *(tmp_path / n for n in ("changed.safetensors", "strange.pth", "list.pth", "absent.pth")),
    ]:
        out = tmp_path / "out.png"
        code, error = told(capsys, ["transfer", HARBOUR, MOSAIC, "-o", out, "--weights", path, *QUICK])
        assert code in (1, 2) and error, path.name
        assert not out.exists(), path.name


def test_a_pickle_that_would_act_does_not(tmp_path: Path, capsys) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, (f"touch {tmp_path / 'acted'}",)

    torch.save({"a": Evil()}, tmp_path / "evil.pth", pickle_protocol=2)
    arguments = ["transfer", HARBOUR, MOSAIC, "-o", tmp_path / "o.png", "--weights", tmp_path / "evil.pth"]
    assert told(capsys, arguments)[0] == 2
    assert not (tmp_path / "acted").exists()


SAVE = """
import os, sys, torch, nstlib
for line in sys.stdin:  # a child for each, which saves until it is killed
    if not (child := os.fork()):
        path, *values = line.split()
        images = [torch.full((1, 3, 200, 300), float(v)) + 0.1 * torch.rand(1, 3, 200, 300) for v in values]
        print("ready", os.getpid(), flush=True)
        while True:
            for image in images:
                nstlib.save_image(image, path, {"value": float(image.mean())})
    os.waitpid(child, 0)
    print("ended", flush=True)
"""


@contextmanager
def saver() -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", SAVE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=ONE_THREAD,
        start_new_session=True,
    )
    with process:
        try:
            yield process
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # with its children, if some are left


def saving(process: subprocess.Popen[str], path: Path, *values: float) -> int:
    """Starts to save; returns the id of the process that does."""
    assert process.stdin and process.stdout
    print(path, *values, file=process.stdin, flush=True)
    said, child = process.stdout.readline().split()
    assert said == "ready"
    return int(child)


def kill(process: subprocess.Popen[str], child: int) -> None:
    os.kill(child, signal.SIGKILL)
    assert process.stdout and process.stdout.readline() == "ended\n"


def test_killed_at_any_moment_the_old_or_the_new_file_is_there(tmp_path: Path) -> None:
    path, chance = tmp_path / "out.png", random.Random(0)
    nstlib.save_image(torch.zeros(1, 3, 20, 20), path, {"value": 0.0})
    with saver() as process:
        for _ in range(8):
            child = saving(process, path, 0.2, 0.7)
            time.sleep(chance.uniform(0, 0.3))
            kill(process, child)
            assert "value" in nstlib.read_recipe(path)
            nstlib.load_image(path)  # whole: Pillow refuses half a PNG
    left = list(tmp_path.glob(".*.part"))
    assert len(left) <= 8
    for part in left:
        os.utime(part, (0, 0))  # long ago
    nstlib.save_image(torch.zeros(1, 3, 20, 20), path)
    assert [p.name for p in tmp_path.iterdir()] == ["out.png"], "what the killed have left is cleared away"


def test_two_processes_may_save_one_file_and_a_third_always_reads_a_whole_one(tmp_path: Path) -> None:
    path = tmp_path / "out.png"
    nstlib.save_image(torch.zeros(1, 3, 20, 20), path, {"value": 0.0})
    with saver() as one, saver() as other:
        children = [saving(one, path, 0.2), saving(other, path, 0.7)]
        deadline, seen = time.monotonic() + 60, []
        while len(seen) < 100 or len(set(seen)) < 2:
            assert time.monotonic() < deadline, "both save"
            seen.append(round(nstlib.read_recipe(path)["value"], 1))
            assert min(nstlib.load_image(path).shape[2:]) >= 20
        for process, child in zip((one, other), children, strict=True):
            kill(process, child)  # that fails for a process that has ended


@pytest.mark.parametrize("megabytes", [900, 1100, 2000])
def test_too_little_memory_takes_one_line(megabytes: int, tmp_path: Path) -> None:
    limit = megabytes * 1_000_000
    result = nst(
        "transfer", HARBOUR, MOSAIC, "-o", tmp_path / "o.png", "--size", 1024, "--iterations", 1, "--quiet",
        "--memory", "fast",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )  # fmt: skip
    if "nstlib" not in result.stderr + result.stdout and "import" in result.stderr:
        pytest.skip("torch itself cannot be loaded in so little")
    assert "Traceback" not in result.stderr, result.stderr[-1500:]
    assert result.returncode in (0, 1) and (result.returncode == 0) == (tmp_path / "o.png").exists()


def test_without_a_home_it_works() -> None:
    nowhere = {k: v for k, v in ONE_THREAD.items() if k not in ("HOME", "XDG_CACHE_HOME")}
    user = {"user": 54321, "extra_groups": []} if os.geteuid() == 0 else {}
    folder = Path(tempfile.mkdtemp())  # pytest's own folders are closed to other users
    folder.chmod(0o777)
    needed = (*ROOT.parents, *Path(sys.executable).parents, *Path(sys.executable).resolve().parents)
    if any(not folder.stat().st_mode & 1 for folder in needed):
        user = {}  # another user could not start this interpreter
    command = ["transfer", HARBOUR, MOSAIC, "-o", folder / "o.png", *QUICK]
    result = nst(*command, "then", "doctor", environment=nowhere, **user)
    assert result.stdout.endswith("[0, 0]\n") and "Traceback" not in result.stderr, result.stderr[-800:]


def test_an_old_terminal_gets_its_answer(tmp_path: Path) -> None:
    out = tmp_path / "grün.png"
    old = ONE_THREAD | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"}
    command = ["transfer", HARBOUR, MOSAIC, "-o", out]
    result = nst(*command, *QUICK, "then", *command, "--method", "γ", environment=old)
    assert result.stdout.endswith("[0, 2]\n"), result.stderr[-800:]
    assert "2 steps" in result.stdout and out.exists() and "methods are" in result.stderr


@pytest.mark.parametrize("delay", [0.05, 0.4, 1.2])
def test_ctrl_c_in_the_first_seconds_shows_no_python(delay: float, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "nstlib", "transfer", HARBOUR, MOSAIC, "-o", str(tmp_path / "o.png")]
    process = subprocess.Popen(
        [*command, "--iterations", "100000", "--size", "96"], stderr=subprocess.PIPE, env=ONE_THREAD
    )
    while process.poll() is None and cpu_seconds(process.pid) < delay:  # however busy the machine is
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    if delay > 0.1:  # before that, it is Python that starts, not we
        assert b"Traceback" not in error, error[-800:]
    assert process.returncode in (0, 1, 130, -signal.SIGINT)


def test_sigterm_saves_the_last_image(tmp_path: Path) -> None:
    out = tmp_path / "o.png"
    command = [sys.executable, "-m", "nstlib", "transfer", HARBOUR, MOSAIC, "-o", str(out), "--size", "96"]
    process = subprocess.Popen([*command, "--iterations", "100000"], stderr=subprocess.PIPE, env=ONE_THREAD)
    assert process.stderr is not None
    for byte in itertools.takewhile(bool, iter(lambda: process.stderr.read(1), b"")):  # until a step is shown
        if byte == b"l":
            break
    time.sleep(0.5)
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == 130 and nstlib.load_image(out).shape[3] == 96


def test_a_reader_that_goes_away_is_no_error_of_ours(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "nstlib", "doctor"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ONE_THREAD)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    error = process.stderr.read()
    process.wait(timeout=60)
    assert b"Traceback" not in error


def test_the_recipe_and_other_threads_give_the_same_image(tmp_path: Path) -> None:
    images, before = [], torch.get_num_threads()
    base = ["--size", 96, "--iterations", 6, "--quiet", "--dtype", "float32"]
    try:
        for name, threads, options in (("a", 1, base), ("b", 2, base), ("c", 2, None)):
            torch.set_num_threads(threads)
            more = options or ["--recipe", tmp_path / "a.png", "--quiet"]
            out = tmp_path / f"{name}.png"
            assert main(["transfer", HARBOUR, MOSAIC, "-o", *map(str, (out, *more))]) == 0
            images.append(nstlib.load_image(out))
            assert nstlib.read_recipe(out)["threads"] == (threads if options else 1)
    finally:
        torch.set_num_threads(before)
    a, b, c = images
    assert a.equal(c)  # a recipe brings its number of threads
    assert -10 * (a - b).square().mean().clamp(min=1e-12).log10() >= 35  # dB


def test_a_terminal_is_left_as_it_was(tmp_path: Path) -> None:
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "nstlib", "transfer", HARBOUR, MOSAIC, "-o", str(tmp_path / "o.png")]
    process = subprocess.Popen([*command, *QUICK[:4]], stdout=follower, stderr=follower, env=ONE_THREAD)
    os.close(follower)
    said = b""
    while True:
        try:
            said += os.read(leader, 1000)
        except OSError:  # the other end is closed
            break
    assert process.wait(timeout=60) == 0 and b"2 steps" in said and b"Traceback" not in said
