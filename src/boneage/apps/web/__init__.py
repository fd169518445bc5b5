"""The web app: pages for people and an HTTP API for programs (the extra ``web``).

===============  ================================================================================
``settings``     what a server is told
``serving``      a server from start to end
``connections``  how many connections there may be, and how long one may say nothing
``app``          the routes put together
``edge``         the outermost layer: headers, counts, and an end to every error
``security``     who may ask, and what browsers may do with the pages
``signing``      where people show the token
``uploads``      multipart bodies, in memory and within limits
``asking``       from a request to the answers of its radiographs
``api``          the routes for programs
``schema``       what they take and give
``openapi``      what the OpenAPI document says beside that
``problems``     errors as RFC 9457 has them
``pages``        the routes for people
``viewing``      the pictures that the pages show
``jobs``         what goes to a worker process, and what comes back
``engine``       the queue before the worker processes
``lane``         a worker process, and the thread that feeds, watches and replaces it
``worker``       inside a worker process, where foreign bytes are read
``keeping``      what is kept with ``--keep``
``metrics``      counters for Prometheus
===============  ================================================================================
"""
