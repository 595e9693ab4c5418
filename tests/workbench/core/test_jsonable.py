import json
import math

import numpy as np

from workbench.core.jsonable import plain_json


def test_no_value_leaves_that_json_does_not_have():
    value = {"a": math.nan, "b": [math.inf, -math.inf, 1.5], "c": (np.float32("nan"), np.int64(3)), "d": {"e": None}}
    plain = plain_json(value)
    assert plain == {"a": None, "b": ["inf", "-inf", 1.5], "c": [None, 3], "d": {"e": None}}
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
