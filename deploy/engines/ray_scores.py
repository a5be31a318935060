#!/usr/bin/env python3
"""Scores a data set by `ldlvk serve` from Ray Data. This file was not run: Ray could not be had where it was written. score_rows was tested.

    ray job submit --working-dir . -- python3 ray_scores.py --server http://gpu1:8000 --server http://gpu2:8000 texts.parquet scores

The folder of the job has ldlvk.py and ldlvk_partition.py too. The data set has the columns that the server reads (prompt and response, or
messages); its other columns stay beside the new ones, score, tokens and error. Results are Parquet.

Back-pressure: --in-flight tasks at most, each with one batch at its servers; Ray Data reads no more than its own buffers hold. Retries:
score_rows asks all servers for 900 s; a task whose node dies is run again by Ray (max_retries).
"""

import argparse
import os

import ray

from ldlvk_partition import columns_read, identity_of, score_rows


def score_batch(batch, urls, api_key, expected, any_machine):
    """batch: columns of a batch as lists, pyarrow.Table. Returns it with the results' columns."""
    import pyarrow

    rows = [columns_read(row) for row in batch.to_pylist()]
    results = score_rows(rows, urls, api_key, expected=expected, any_machine=any_machine)
    for name, type_ in (("score", pyarrow.float64()), ("tokens", pyarrow.int64()), ("error", pyarrow.string())):
        batch = batch.append_column(name, pyarrow.array([result.get(name) for result in results], type_))
    return batch


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("input")
    parser.add_argument("folder")
    parser.add_argument("--server", action="append", required=True)
    parser.add_argument("--in-flight", type=int, default=8)
    parser.add_argument("--any-machine", action="store_true", help="permit devices of several kinds, whose scores differ in their last bits")
    given = parser.parse_args()
    api_key = os.environ.get("LDLVK_API_KEY")
    expected = identity_of(given.server, api_key, given.any_machine)
    ray.init()
    # The tasks only wait: a tenth of a processor each.
    ray.data.read_parquet(given.input).map_batches(
        score_batch,
        batch_format="pyarrow",
        batch_size=1000,
        fn_kwargs={"urls": given.server, "api_key": api_key, "expected": expected, "any_machine": given.any_machine},
        num_cpus=0.1,
        concurrency=given.in_flight,
        max_retries=3,
    ).write_parquet(given.folder)


if __name__ == "__main__":
    main()
