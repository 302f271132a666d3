"""Writes down what each operation answered; contract.py reads it."""

import json
import os

import schemathesis


@schemathesis.hook
def after_call(context, case, response):
    with open(os.environ["PLAUDIT_STATUSES"], "a", encoding="utf-8") as file:
        file.write(json.dumps([case.operation.label, response.status_code]) + "\n")
