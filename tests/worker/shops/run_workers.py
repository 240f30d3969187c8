"""A script that starts two uvicorn workers, and has imported the application itself before."""

import os

import uvicorn

from tests.worker.shops import shop

if __name__ == "__main__":
    assert shop.make()
    uvicorn.run("tests.worker.shops.shop:app", host="127.0.0.1", port=int(os.environ["PORT"]), workers=2)
