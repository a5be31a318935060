"""Builds revisions and measures them; what bench/compare and bench/record share."""
import http.client
import json
import os
import subprocess
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "ldlvk", "revisions")


def say(text):
    print(f"ldlvk: {text}", file=sys.stderr, flush=True)


def git(*args):
    result = subprocess.run(["git", "-C", ROOT, *args], capture_output=True, text=True)
    if result.returncode:
        sys.exit(f"ldlvk: git {' '.join(args)}: {result.stderr.strip()}")
    return result.stdout.strip()


def build(revision):
    """The command line of a revision, as the beginning of a command; None is the working tree. Builds are kept."""
    folder = ROOT
    if revision is not None:
        commit = git("rev-parse", "--verify", f"{revision}^{{commit}}")
        folder = os.path.join(CACHE, commit[:12])
        if not os.path.isdir(folder):
            os.makedirs(folder + ".part", exist_ok=True)
            archive = subprocess.Popen(["git", "-C", ROOT, "archive", commit], stdout=subprocess.PIPE)
            subprocess.run(["tar", "x", "-C", folder + ".part"], stdin=archive.stdout, check=True)
            os.rename(folder + ".part", folder)
    program, built = os.path.join(folder, "src/LdlVk.Cli/bin/Release/net10.0/LdlVk.Cli.dll"), os.path.join(folder, ".built")
    # The mark comes last: an interrupted build leaves assemblies that are not whole.
    if revision is None or not os.path.exists(built):
        say(f"building {revision or 'the working tree'} …")
        log = subprocess.run(["dotnet", "build", os.path.join(folder, "src/LdlVk.Cli"), "-c", "Release", "-v", "quiet", "--nologo", "-clp:NoSummary"],
                             capture_output=True, text=True)
        if log.returncode:
            sys.exit(f"ldlvk: {revision or 'the working tree'} does not build:\n{log.stdout[-2000:]}")
        if revision is not None:
            open(built, "w", encoding="utf-8").close()
    return ["dotnet", program]


def bench(program, *flags):
    """The JSON objects that `ldlvk bench` writes."""
    result = subprocess.run([*program, "bench", "--json", "--quiet", *flags], capture_output=True, text=True)
    if result.returncode:
        sys.exit(f"ldlvk: {' '.join(program)} bench {' '.join(flags)}: {result.stderr.strip()}")
    return [json.loads(line) for line in result.stdout.splitlines() if line]


def texts():
    """Prompts and responses of the small model's data, for requests to a server."""
    with open(os.path.join(ROOT, "tests/data/ldl-mini/eval-permissive.jsonl"), encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    return [(line["prompt"], line[side]) for line in lines for side in ("chosen", "rejected")]


def serve(program, device, seconds):
    """Texts a second of `ldlvk serve` with the small model: 8 clients, requests of 16 texts, after a second to warm up."""
    server = subprocess.Popen([*program, "serve", "--model", os.path.join(ROOT, "models/ldl-mini"), "--device", device, "--urls", "http://127.0.0.1:0"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        line = server.stderr.readline()
        while line and "http://" not in line:
            line = server.stderr.readline()
        if not line:
            sys.exit(f"ldlvk: {' '.join(program)} serve ended with {server.wait()}")
        host = line[line.index("http://") + len("http://"):].strip()
        pairs, done, failures, begin = texts(), [0] * 8, [], time.monotonic() + 1

        def client(number):
            connection, at = http.client.HTTPConnection(host), number * 16
            while (now := time.monotonic()) < begin + seconds:
                items = [{"prompt": prompt, "response": response} for prompt, response in (pairs[(at + i) % len(pairs)] for i in range(16))]
                connection.request("POST", "/v1/rewards", json.dumps({"items": items}), {"Content-Type": "application/json"})
                answer = connection.getresponse()
                body = answer.read()
                if answer.status != 200:
                    failures.append(f"ldlvk: the server answers {answer.status}: {body[:200]}")
                    return
                at += 8 * 16
                if now >= begin:
                    done[number] += 16

        threads = [threading.Thread(target=client, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        # To exit a thread ends that thread alone, and the rest would be taken for the whole.
        if failures:
            sys.exit(failures[0])
        return sum(done) / (time.monotonic() - begin)
    finally:
        server.terminate()
        server.wait()
