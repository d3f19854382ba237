"""Pages about accounts: signing in and out, one's password and tokens, users, and the audit."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import urlencode

from asgiref.sync import sync_to_async
from django import forms
from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import audit, signin, tokens, users
from accounts.forms import (
    CHOSEN,
    EVERYWHERE,
    AddToken,
    AddUser,
    AuditFilter,
    EditUser,
    NewPassword,
    SignIn,
    places_for,
    places_from,
)
from accounts.grants import grants_of
from accounts.guards import one_of, page
from accounts.models import ApiToken, AuditEntry, Role, User
from accounts.policy import Action, Standing, may
from accounts.problems import Problem

ENTRIES_PER_PAGE = 50


def me(request: HttpRequest) -> User:
    """The user behind a guarded page."""
    assert isinstance(request.user, User)
    return request.user


def _tell(form: forms.Form, problem: Problem) -> None:
    """Put the sentence where it belongs."""
    form.add_error(problem.field if problem.field in form.fields else None, problem.sentence)


# --- In and out -------------------------------------------------------------------------------------------------------
def _next(request: HttpRequest) -> str:
    """Where to go after signing in; never to another site."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    if url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure()):
        return wanted
    return ""


@page(Standing.PUBLIC)
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    destination = _next(request)
    if request.method != "POST":
        if request.user.is_authenticated:
            return redirect(destination or "home")
        return render(request, "accounts/sign_in.html", {"form": SignIn(), "next": destination})
    form = SignIn(request.POST)
    status, retry_after = 400, None
    if form.is_valid():
        answer = signin.sign_in(request, form.cleaned_data["username"], form.cleaned_data["password"])
        if isinstance(answer, User):
            return redirect(destination or "home")
        form.add_error(None, answer.sentence)
        retry_after = answer.retry_after
        status = 401 if retry_after is None else 429
    response = render(request, "accounts/sign_in.html", {"form": form, "next": destination}, status=status)
    if retry_after is not None:
        response["Retry-After"] = str(retry_after)
    return response


@page(Standing.PUBLIC)
@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    signin.sign_out(request)
    messages.info(request, "You are signed out.")
    return redirect("accounts:sign-in")


@page(Standing.NEW_PASSWORD)
@require_http_methods(["GET", "HEAD", "POST"])
def password(request: HttpRequest) -> HttpResponse:
    first = me(request).must_change_password
    form = NewPassword(request.POST or None)
    status = 200
    if request.method == "POST":
        status = 400
        if form.is_valid():
            try:
                users.change_own_password(request, form.cleaned_data["current"], form.cleaned_data["new"])
            except Problem as problem:
                _tell(form, problem)
                status = problem.status
            else:
                messages.success(
                    request, "Your password is changed. Other browsers you were signed in with are not any more."
                )
                return redirect("home")
    return render(request, "accounts/password.html", {"form": form, "first": first}, status=status)


@page(Standing.SIGNED_IN)
@require_POST
def welcomed(request: HttpRequest) -> HttpResponse:
    """The welcome was read."""
    User.objects.filter(pk=me(request).pk).update(welcomed=True)
    return redirect("home")


# --- Users ------------------------------------------------------------------------------------------------------------
@page(Action.MANAGE_USERS)
@require_safe
def user_list(request: HttpRequest) -> HttpResponse:
    locked = {lockout.username for lockout in signin.lockouts()}
    rows = User.objects.prefetch_related("grants").annotate(token_count=Count("tokens"))
    shown = [{"user": user, "locked": user.username.lower() in locked, "reach": _reach_in_words(user)} for user in rows]
    return render(request, "accounts/users.html", {"rows": shown})


def _reach_in_words(holder: User | ApiToken) -> str:
    grants = list(holder.grants.all())  # prefetched
    if any(grant.everything for grant in grants):
        return "Everything"
    counts = {
        "site": sum(grant.site_id is not None for grant in grants),
        "camera": sum(grant.camera_id is not None for grant in grants),
    }
    words = [f"{count} {name}{'' if count == 1 else 's'}" for name, count in counts.items() if count]
    if isinstance(holder, ApiToken) and not words:
        return "Nothing: what it was narrowed to is gone" if holder.narrowed else "All its user reaches"
    return ", ".join(words) or "Nothing"


@page(Action.MANAGE_USERS)
@require_http_methods(["GET", "HEAD", "POST"])
def user_add(request: HttpRequest) -> HttpResponse:
    form = AddUser(request.POST if request.method == "POST" else None)
    status = 200
    if request.method == "POST":
        status = 400
        if form.is_valid():
            wanted = form.cleaned_data
            try:
                made = users.create_user(
                    request,
                    username=wanted["username"],
                    password=wanted["password"],
                    full_name=wanted["full_name"],
                    role=Role(wanted["role"]),
                    grants=form.grants(),
                )
            except Problem as problem:
                _tell(form, problem)
                status = problem.status
            else:
                messages.success(request, f"{made} can sign in now.")
                return redirect("accounts:users")
    return _user_form(request, form, status=status)


@page(Action.MANAGE_USERS)
@require_http_methods(["GET", "HEAD", "POST"])
def user_edit(request: HttpRequest, user: int) -> HttpResponse:
    edited = one_of(User.objects.all(), pk=user)
    if request.method != "POST":
        return _user_form(request, _filled(request, edited), edited)
    form = EditUser(request.POST, myself=edited == me(request))
    status = 400
    if form.is_valid():
        wanted = form.cleaned_data
        try:
            edited = users.update_user(
                request,
                edited,
                username=wanted["username"],
                full_name=wanted["full_name"],
                role=Role(wanted["role"]),
                password=wanted.get("password") or None,
                grants=form.grants(),
            )
        except Problem as problem:
            _tell(form, problem)
            status = problem.status
        else:
            messages.success(request, f"{edited} is changed.")
            return redirect("accounts:users")
    return _user_form(request, form, edited, status=status)


def _filled(request: HttpRequest, edited: User) -> EditUser:
    grants = grants_of(edited)
    everything = any(spec.everything for spec in grants)
    return EditUser(
        myself=edited == me(request),
        initial={
            "username": edited.username,
            "full_name": edited.full_name,
            "role": edited.role,
            "reach": EVERYWHERE if everything else CHOSEN,
            "places": places_from(grants),
        },
    )


def _user_form(
    request: HttpRequest, form: EditUser, edited: User | None = None, *, problem: str = "", status: int = 200
) -> HttpResponse:
    context = {
        "form": form,
        "edited": edited,
        "problem": problem,
        "myself": edited == me(request),
        "locked": bool(edited and signin.lockouts(edited.username)),
        "sites": places_for(me(request)),
        "everywhere": "everything",
    }
    return render(request, "accounts/user.html", context, status=status)


def _refused(request: HttpRequest, edited: User, problem: Problem) -> HttpResponse:
    return _user_form(request, _filled(request, edited), edited, problem=problem.sentence, status=problem.status)


@page(Action.MANAGE_USERS)
@require_POST
def user_disable(request: HttpRequest, user: int) -> HttpResponse:
    edited = one_of(User.objects.all(), pk=user)
    try:
        users.update_user(request, edited, is_active=False)
    except Problem as problem:
        return _refused(request, edited, problem)
    messages.success(
        request, f"{edited} is disabled and signed out everywhere; their API tokens do not work meanwhile."
    )
    return redirect("accounts:user", edited.pk)


@page(Action.MANAGE_USERS)
@require_POST
def user_enable(request: HttpRequest, user: int) -> HttpResponse:
    edited = one_of(User.objects.all(), pk=user)
    users.update_user(request, edited, is_active=True)
    messages.success(request, f"{edited} can sign in again, and their API tokens work again.")
    return redirect("accounts:user", edited.pk)


@page(Action.MANAGE_USERS)
@require_POST
def user_unlock(request: HttpRequest, user: int) -> HttpResponse:
    edited = one_of(User.objects.all(), pk=user)
    signin.unlock(request, edited)
    messages.success(request, f"{edited} may try to sign in again.")
    return redirect("accounts:user", edited.pk)


@page(Action.MANAGE_USERS)
@require_POST
def user_delete(request: HttpRequest, user: int) -> HttpResponse:
    edited = one_of(User.objects.all(), pk=user)
    try:
        if request.POST.get("confirm", "").strip() != edited.username:
            raise Problem(400, f"Nothing was deleted: type {edited.username} to confirm.")
        users.delete_user(request, edited)
    except Problem as problem:
        return _refused(request, edited, problem)
    messages.success(request, f"{edited} is deleted.")
    return redirect("accounts:users")


# --- Tokens -----------------------------------------------------------------------------------------------------------
@page(Standing.SIGNED_IN)
@require_http_methods(["GET", "HEAD", "POST"])
def token_list(request: HttpRequest) -> HttpResponse:
    """The tokens, and a new one: its text is in the answer to its making and nowhere else, ever."""
    user = me(request)
    form = AddToken(request.POST if request.method == "POST" else None, user=user)
    made, plain, status = None, "", 200
    if request.method == "POST":
        status = 400
        if form.is_valid():
            wanted = form.cleaned_data
            try:
                made, plain = tokens.create(
                    request,
                    user,
                    name=wanted["name"],
                    role=Role(wanted["role"]),
                    expires=form.expires(),
                    grants=form.grants(),
                )
            except Problem as problem:
                _tell(form, problem)
                status = problem.status
            else:
                form, status = AddToken(user=user), 201
    now = timezone.now()
    context = {
        "form": form,
        "made": made,
        "plain": plain,
        "rows": [
            {"token": token, "reach": _reach_in_words(token), "expired": token.expires and token.expires <= now}
            for token in tokens.manageable_by(user)
        ],
        "sees_all": may(user, Action.MANAGE_USERS),
        "sites": places_for(user),
        "everywhere": "everything you may reach",
    }
    return render(request, "accounts/tokens.html", context, status=status)


@page(Standing.SIGNED_IN)
@require_POST
def token_revoke(request: HttpRequest, token: int) -> HttpResponse:
    revoked = one_of(tokens.manageable_by(me(request)), pk=token)
    tokens.delete(request, revoked)
    messages.success(request, f"{revoked.name} does not work any more.")
    return redirect("accounts:tokens")


# --- Audit ------------------------------------------------------------------------------------------------------------
@page(Action.READ_AUDIT)
@require_safe
def audit_list(request: HttpRequest) -> HttpResponse:
    form = AuditFilter(request.GET)
    chosen = form.chosen()
    entries = Paginator(audit.search(**chosen), ENTRIES_PER_PAGE).get_page(request.GET.get("page"))
    asked = {name: value for name, value in request.GET.items() if value and name in form.fields}
    context = {
        "form": form,
        "entries": entries,
        "filtered": bool(chosen),
        "query": urlencode(asked),
        "actions": AuditEntry.objects.order_by("action").values_list("action", flat=True).distinct()[:200],
    }
    return render(request, "accounts/audit.html", context)


@page(Action.READ_AUDIT)
@require_safe
async def audit_csv(request: HttpRequest) -> HttpResponseBase:
    """What the page's filter shows, all of it, as a stream: an audit may be long."""
    chosen = await sync_to_async(AuditFilter(request.GET).chosen)()

    async def chunks() -> AsyncIterator[bytes]:
        async for text in audit.acsv_chunks(audit.search(**chosen)):
            yield text.encode()

    await audit.arecord(request, "export audit", filter=chosen)
    response = StreamingHttpResponse(chunks(), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="audit-{timezone.now():%Y%m%d-%H%M%S}.csv"'
    response["Cache-Control"] = "no-store"
    return response
