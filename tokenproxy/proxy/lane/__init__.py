"""The short way of an everyday exchange: HTTP/1.1 in, HTTP/1.1 out, bytes as they come.

mitmproxy cuts a body into events and passes each through a stack of layers, hooks and
tasks; nothing here needs them. What the lane understands beyond doubt it carries
itself; every other connection, HTTP/2 among them, goes to mitmproxy whole, before
anything was sent on. Both ask the same :class:`tokenproxy.proxy.reception.Reception`
what a request is and where it goes, and put the same tap on it.
"""
