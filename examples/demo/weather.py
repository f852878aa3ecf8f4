# SPDX-License-Identifier: Apache-2.0
"""A year of weather at Seattle, hour by hour: a public data set that the npm package vega-datasets ships.

8,760 rows: date, air pressure (hPa), temperature (degrees Celsius), wind (m/s): the hourly normals of NOAA.
One file of the package is kept in the cache folder; the network is needed once.
"""

import csv
import hashlib
import itertools
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from tombolo_lab import Message

PACKAGE = "vega-datasets@3.2.1"
FILE = "seattle-weather-hourly-normals.csv"
SHA256 = "3433511ab963755ec1a573420af962e713e66691c07c068f5a247e6891912311"


class NoWeather(Exception):
    """Says what went wrong and what cures it."""


def fetch(cache: Path) -> Path:
    """The data set's file, from the cache or by npm."""
    kept = cache / FILE
    if kept.exists() and hashlib.sha256(kept.read_bytes()).hexdigest() == SHA256:
        return kept
    if not shutil.which("npm"):
        raise NoWeather(f"the weather data is in the npm package {PACKAGE}, and there is no npm here\n"
                        "cure: apt-get install npm   or: --weather FILE, a CSV file whose first column is "
                        "a time and whose others are numbers")
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        try:
            done = subprocess.run(["npm", "pack", PACKAGE, "--loglevel=error", "--pack-destination", folder], text=True,
                                  cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, timeout=180)
            said = [line for line in done.stderr.strip().splitlines() if "complete log" not in line]
        except subprocess.TimeoutExpired:
            done, said = None, ["no answer in 180 s"]
        archives = list(Path(folder).glob("*.tgz"))
        if done is None or done.returncode != 0 or not archives:
            raise NoWeather(f"npm could not get {PACKAGE}: {said[-1] if said else 'it does not say why'}\n"
                            "cure: see that npm reaches its registry (npm ping), then start again; "
                            "or: --weather FILE, a CSV file whose first column is a time and whose others are "
                            "numbers")
        with tarfile.open(archives[0]) as archive:
            data = archive.extractfile(f"package/data/{FILE}").read()
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise NoWeather(f"{FILE} of {PACKAGE} is not the file this demo was written for (SHA-256 differs)\n"
                        "cure: --weather FILE, if you trust it")
    kept.write_bytes(data)
    return kept


def rows(file: Path) -> list:
    """The rows of a CSV file as (time, {column: number})."""
    with open(file, newline="", encoding="utf-8") as text:
        table = list(csv.reader(text))
    if len(table) < 2 or len(table[0]) < 2:
        raise NoWeather(f"{file}: want a header and rows, with two columns at least")
    try:
        return [(row[0], {name: float(value) for name, value in zip(table[0][1:], row[1:])})
                for row in table[1:]]
    except ValueError as error:
        raise NoWeather(f"{file}: {error}") from error


def replay(table: list, columns: list, per_second: float):
    """Endless: hour after hour; each column is a topic."""
    for when, values in itertools.cycle(table):
        for column in columns:
            yield Message(f"weather/{column}", {"at": when, "value": values[column]},
                          1 / per_second / len(columns))


def publishers(table: list) -> dict:
    columns = list(table[0][1])
    first, others = columns[:1], columns[1:] or columns[:1]
    return {
        "barometer": (replay(table, first, 20), {"version": 4, "qos": 2}),
        "mast": (replay(table, others, 20), {"version": 5, "qos": 1}),
    }
