"""The companion proxy: requests between services.

In the order in which a request passes: ``downstream`` (connections from clients; ``tls``, ``http``) -> ``access`` and ``limits``
-> ``routing`` -> ``exchange`` (attempts and the answer) -> ``targets`` (one endpoint; ``discovery`` finds them) -> ``upstream``.
``telemetry`` tells of it, ``admin`` answers for it. ``proxy`` puts it together, ``server`` and ``workers`` run it.
"""
