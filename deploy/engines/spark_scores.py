#!/usr/bin/env python3
"""Scores a data set by `ldlvk serve` from Spark. This file was not run: Spark could not be had where it was written. score_rows was tested.

    spark-submit --py-files ldlvk.py,ldlvk_partition.py --conf spark.task.maxFailures=8 --conf spark.cores.max=8 \\
        spark_scores.py --server http://gpu1:8000 --server http://gpu2:8000 texts.parquet scores

The data set has the columns that the server reads (prompt and response, or messages); its other columns stay beside the new ones, score,
tokens and error. Results are Parquet; Spark names a partition's file when it is complete, so that none is lost or doubled.

Back-pressure: a task has 1,000 rows at its servers, so spark.cores.max bounds what is under way. Retries: score_rows asks all servers for
900 s; a task that fails, or whose executor dies, is run again (spark.task.maxFailures). Leave spark.speculation off: it would score the
slowest partitions twice.
"""

import argparse
import os
from itertools import islice

from pyspark.sql import SparkSession
from pyspark.sql.types import DoubleType, LongType, StringType, StructField, StructType

RESULTS = [StructField("score", DoubleType()), StructField("tokens", LongType()), StructField("error", StringType())]


def scorer(urls, api_key, expected, any_machine):
    """Returns the function that Spark maps over partitions."""

    def score_partition(rows):
        from ldlvk_partition import columns_read, score_rows

        rows = iter(rows)
        while batch := list(islice(rows, 1000)):
            items = [columns_read(row.asDict(recursive=True)) for row in batch]
            for row, result in zip(batch, score_rows(items, urls, api_key, expected=expected, any_machine=any_machine)):
                yield tuple(row) + tuple(result.get(field.name) for field in RESULTS)

    return score_partition


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("input")
    parser.add_argument("folder")
    parser.add_argument("--server", action="append", required=True)
    parser.add_argument("--any-machine", action="store_true", help="permit devices of several kinds, whose scores differ in their last bits")
    given = parser.parse_args()
    from ldlvk_partition import identity_of

    api_key = os.environ.get("LDLVK_API_KEY")
    expected = identity_of(given.server, api_key, given.any_machine)
    spark = SparkSession.builder.appName("ldlvk").getOrCreate()
    texts = spark.read.parquet(given.input)
    scored = texts.rdd.mapPartitions(scorer(given.server, api_key, expected, given.any_machine))
    spark.createDataFrame(scored, StructType(texts.schema.fields + RESULTS)).write.parquet(given.folder)


if __name__ == "__main__":
    main()
