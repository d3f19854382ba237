from django.urls import path

from recordings import pages

urlpatterns = [
    path("jobs/", pages.job_list, name="jobs"),
    path("jobs/<int:job>/", pages.job_page, name="job"),
    path("library/", pages.file_list, name="library"),
    path("library/<int:file>/", pages.file_page, name="library-file"),
]
