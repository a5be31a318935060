"""Builds revisions and runs their `ldlvk bench`; what bench/compare and bench/record share."""
import json
import os
import subprocess
import sys

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
