"""The shop in three frameworks, each with a route template: FastAPI, Starlette with a mount, Litestar."""

import logship.auto  # noqa: F401

# isort: split

from fastapi import APIRouter, FastAPI
from litestar import Litestar, get
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

fast = FastAPI()
router = APIRouter(prefix="/shop")


@router.get("/orders/{number}")
async def fast_order(number: int) -> int:
    return number


fast.include_router(router)


async def star_order(request: Request) -> PlainTextResponse:
    return PlainTextResponse(request.path_params["number"])


star = Starlette(routes=[Mount("/shop", routes=[Route("/orders/{number}", star_order)])])


@get("/shop/orders/{number:int}")
async def lite_order(number: int) -> int:
    return number


lite = Litestar([lite_order], openapi_config=None)
