"""Cutting a random query and its tables to the smallest that still show a difference."""
import time

import random_sql


def smaller_query(query, text, fails, end):
    """The smallest form of a query for which `fails` is still true. `text` renders one; nothing is begun after the time `end`."""
    progress = True
    while progress and time.time() < end:
        progress = False
        for candidate in random_sql.smaller(query):
            if time.time() > end:
                break
            if len(text(candidate)) < len(text(query)) and fails(candidate):
                query, progress = candidate, True
                break
    return query


def fewer_rows(table, fails, end):
    """Takes rows out of a table in halves, quarters, … as long as `fails`, which loads the tables anew, is true."""
    step = max(len(table.rows) // 2, 1)
    while step and time.time() < end:
        at = 0
        while at < len(table.rows) and time.time() < end:
            kept = table.rows
            table.rows = kept[:at] + kept[at + step:]
            if not fails():
                table.rows = kept
                at += step
        step //= 2
