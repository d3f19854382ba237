from django.urls import path

from accounts import pages

urlpatterns = [
    path("sign-in/", pages.sign_in, name="sign-in"),
    path("sign-out/", pages.sign_out, name="sign-out"),
    path("password/", pages.password, name="password"),
    path("welcome/close/", pages.welcomed, name="welcomed"),
    path("users/", pages.user_list, name="users"),
    path("users/new/", pages.user_add, name="user-add"),
    path("users/<int:user>/", pages.user_edit, name="user"),
    path("users/<int:user>/disable/", pages.user_disable, name="user-disable"),
    path("users/<int:user>/enable/", pages.user_enable, name="user-enable"),
    path("users/<int:user>/unlock/", pages.user_unlock, name="user-unlock"),
    path("users/<int:user>/delete/", pages.user_delete, name="user-delete"),
    path("tokens/", pages.token_list, name="tokens"),
    path("tokens/<int:token>/revoke/", pages.token_revoke, name="token-revoke"),
    path("audit/", pages.audit_list, name="audit"),
    path("audit.csv", pages.audit_csv, name="audit-csv"),
]
