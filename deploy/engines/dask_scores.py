#!/usr/bin/env python3
"""Scores a file of JSON lines by `ldlvk serve` from a Dask cluster.

    PYTHONPATH=clients/python deploy/engines/dask_scores.py --server http://gpu1:8000 --server http://gpu2:8000 texts.jsonl scores
    cat scores/part-*.jsonl > scores.jsonl

The folder gets a file for each partition of 1,000 lines, complete or not at all: {"id", "score", "tokens"} or {"id", "error"} for each line, in
order; an id is that of the line, or the line's number. The same command continues where a run ended; run.json has what its results depend on,
and with another input, or servers with another model or other settings, the folder is refused. All workers must see the file and the
folder. --scheduler names a cluster that is there; without it, workers are started on this machine.

Back-pressure: at most --in-flight partitions are under way, whatever the size of the input. Retries: score_rows asks all servers for
--patience seconds; then, or when its worker dies, Dask runs the partition again.
"""

import argparse
import hashlib
import json
import os
import sys
import threading

from distributed import Client, LocalCluster, as_completed

import ldlvk
import ldlvk_partition

ROWS = 1000


def partitions(path):
    """Yields each partition: its number, and where it begins and ends in the file."""
    number = lines = begin = end = 0
    with open(path, "rb") as file:
        for line in file:
            lines, end = lines + 1, end + len(line)
            if lines == ROWS:
                yield number, begin, end
                number, lines, begin = number + 1, 0, end
    if lines:
        yield number, begin, end


def digest_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for piece in iter(lambda: file.read(1 << 20), b""):
            digest.update(piece)
    return digest.hexdigest()


def write_record(path, run):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(run, file)
        file.flush()
        os.fsync(file.fileno())


def take_up(folder, run, any_machine):
    """Notes in the folder what its results depend on, or refuses one with results of something else."""
    record = os.path.join(folder, "run.json")
    noted = f"{record}.{os.uname().nodename}.{os.getpid()}"
    try:
        os.makedirs(folder, exist_ok=True)
        if not os.path.exists(record):
            # What a run left that ended before it had a record is no result.
            if any(not name.startswith("run.json.") for name in os.listdir(folder)):
                sys.exit(f"{folder} is not empty, and has no run.json that says what its results depend on. Give another folder.")
            write_record(noted, run)
            try:
                os.link(noted, record)  # not a rename: of two runs at once one makes the record, and the other is held to it
            except FileExistsError:
                pass
            os.remove(noted)
        with open(record, encoding="utf-8") as file:
            before = json.load(file)
        for what in ("input_sha256", "settings") if any_machine else ("input_sha256", "settings", "machine"):
            if before[what] != run[what]:
                sys.exit(f"{folder} holds results with another {what} ({before[what]}; now {run[what]}). Give another folder.")
        machines = {*before["machine"].split(" and "), *run["machine"].split(" and ")}
        if len(machines) > 1:
            write_record(noted, {**before, "machine": " and ".join(sorted(machines))})
            os.replace(noted, record)
    except (KeyError, TypeError, ValueError) as error:
        sys.exit(f"{record} is damaged ({error!r}), so what the folder's results depend on is not known. Give another folder.")
    except OSError as error:
        sys.exit(f"The folder for results cannot be used: {error}")


def name_of(folder, number):
    return os.path.join(folder, f"part-{number:06d}.jsonl")


def score_partition(partition, path, folder, urls, api_key, patience, expected, any_machine):
    """Runs on a worker. Returns the numbers of lines and of those that could not be scored."""
    number, begin, end = partition
    with open(path, "rb") as file:
        file.seek(begin)
        lines = file.read(end - begin).split(b"\n")
    if not lines[-1]:
        lines.pop()
    ids, rows, results = [], [], [None] * len(lines)
    for i, line in enumerate(lines):
        ids.append(number * ROWS + i)
        try:
            row = json.loads(line, parse_constant=lambda _: None)  # NaN and Infinity, which Python writes, are null to ldlvk score too
            json.dumps(row, allow_nan=False)  # Python reads 1e999, which is no number of JSON and could not be sent
            ids[i] = row.pop("id", ids[i])
            rows.append((i, row))
        except (ValueError, AttributeError, TypeError, RecursionError) as error:
            results[i] = {"error": f"The line is no JSON object: {error}"}
    scored = ldlvk_partition.score_rows([row for _, row in rows], urls, api_key, patience, expected=expected, any_machine=any_machine)
    for (i, _), result in zip(rows, scored):
        results[i] = result
    # A name that is only complete results' own; a partition that runs twice writes the same file twice.
    final = name_of(folder, number)
    temporary = f"{final}.{os.uname().nodename}.{os.getpid()}.{threading.get_ident()}"
    # An id may have half a surrogate pair, which JSON can only have as an escape.
    with open(temporary, "w", encoding="utf-8", errors="backslashreplace") as file:
        for id_, result in zip(ids, results):
            file.write(json.dumps({"id": id_, **result}, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, final)
    return len(results), sum("error" in result for result in results)


def main():
    parser = argparse.ArgumentParser(description="Scores JSON lines by ldlvk serve from a Dask cluster.")
    parser.add_argument("input")
    parser.add_argument("folder")
    parser.add_argument("--server", action="append", required=True, help="address of ldlvk serve; several share the work")
    parser.add_argument("--scheduler", help="address of a Dask scheduler; without it, --workers are started here")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--in-flight", type=int, help="partitions under way [two for each server]")
    parser.add_argument("--patience", type=float, default=900.0, help="seconds for which servers may be away [900]")
    parser.add_argument("--any-machine", action="store_true", help="permit devices of several kinds, whose scores differ in their last bits")
    given = parser.parse_args()
    api_key, in_flight = os.environ.get("LDLVK_API_KEY"), given.in_flight or 2 * len(given.server)
    path, folder = os.path.abspath(given.input), os.path.abspath(given.folder)
    expected = ldlvk_partition.identity_of(given.server, api_key, given.any_machine)
    take_up(folder, {"input_sha256": digest_of(path), **expected._asdict()}, given.any_machine)

    cluster = given.scheduler or LocalCluster(n_workers=given.workers, threads_per_worker=2, dashboard_address=None)
    with Client(cluster) as dask:
        for module in (ldlvk, ldlvk_partition):
            dask.upload_file(module.__file__)
        left = (partition for partition in partitions(path) if not os.path.exists(name_of(folder, partition[0])))

        def send():
            """The next partition's future, or nothing at the end."""
            return [
                dask.submit(
                    score_partition, partition, path, folder, given.server, api_key, given.patience, expected, given.any_machine,
                    retries=3, pure=False)
                for partition in [next(left, None)] if partition is not None
            ]

        lines = failed = 0
        under_way = as_completed([future for _ in range(in_flight) for future in send()])
        for future in under_way:
            counts = future.result()
            lines, failed = lines + counts[0], failed + counts[1]
            under_way.update(send())
    print(f"{lines} lines, {failed} of them errors", file=sys.stderr)
    return 3 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
