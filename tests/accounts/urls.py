"""One view per policy and guard, to test the guards with."""

from django.http import HttpRequest, HttpResponse
from django.urls import include, path

from accounts.guards import machine, page, thing_for
from accounts.policy import Action, Standing
from accounts.signin import Refusal, sign_in, sign_out
from devices.models import Camera


@page(Standing.PUBLIC)
def sign_in_page(request: HttpRequest) -> HttpResponse:
    if request.method != "POST":
        return HttpResponse("sign in")
    found = sign_in(request, request.POST["username"], request.POST["password"])
    if isinstance(found, Refusal):
        headers = {"Retry-After": str(found.retry_after)} if found.retry_after else {}
        return HttpResponse(found.sentence, status=429 if found.retry_after else 200, headers=headers)
    return HttpResponse("welcome")


@page(Standing.PUBLIC)
def sign_out_page(request: HttpRequest) -> HttpResponse:
    sign_out(request)
    return HttpResponse("bye")


@page(Standing.NEW_PASSWORD)
def password(request: HttpRequest) -> HttpResponse:
    return HttpResponse("new password")


@page(Standing.SIGNED_IN)
def home(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"home, {request.scheme}")


@page(Action.MANAGE_USERS)
def users(request: HttpRequest) -> HttpResponse:
    return HttpResponse("users")


@page(Action.WATCH)
async def waits(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"{request.user} waits")


@page(Action.WATCH)
def camera(request: HttpRequest, pk: int) -> HttpResponse:
    return HttpResponse(thing_for(request, Camera, Action.STEER, pk=pk).name)


@machine(Action.WATCH)
def figures(request: HttpRequest) -> HttpResponse:
    return HttpResponse("figures")


@machine(Action.WATCH)
async def slow_figures(request: HttpRequest) -> HttpResponse:
    return HttpResponse("figures")


accounts = [
    path("sign-in/", sign_in_page, name="sign-in"),
    path("sign-out/", sign_out_page, name="sign-out"),
    path("password/", password, name="password"),
]
urlpatterns = [
    path("", home, name="home"),
    path("users/", users),
    path("waits/", waits),
    path("cameras/<int:pk>/", camera),
    path("figures", figures),
    path("slow-figures", slow_figures),
    path("", include((accounts, "accounts"))),
]
