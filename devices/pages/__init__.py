"""The pages about devices: thin views that ask `devices.fleet`, `devices.settings` and the other services.

One module per page. Every view states its policy and asks again for the one device it is about; what somebody may not
see does not exist for them.
"""
