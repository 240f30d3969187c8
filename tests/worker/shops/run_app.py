"""A script that starts uvicorn with the application itself."""

import os

import uvicorn

from tests.worker.shops import shop

if __name__ == "__main__":
    uvicorn.run(shop.app, host="127.0.0.1", port=int(os.environ["PORT"]))
