"""A small daemon whose commands do what the requests say."""
# ruff: noqa: N802 - the methods of a servicer have the names of the RPCs

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc

from proa import v1
from proa.v1 import console_service_pb2_grpc
from unit.client.conftest import SmallDaemon, abort, register


class ConsoleDaemon(SmallDaemon, console_service_pb2_grpc.ConsoleServiceServicer):
    """Notes what it is asked; a command writes what it reads, and ends with its input.

    Attributes:
        begun: the first message of each call that was admitted.
        asked: the names of the messages after it, and their values.
        refusal: status of the next Exec that is admitted, which does not begin then.
        failure: status that an Exec ends with in place of an exit.
        outputs: what a command writes before it reads.
        is_deaf: whether commands read nothing.
        ended: set when an Exec has ended, however it did.
        result: the response of RunCommand.
        deadline: seconds until the deadline of the last RunCommand.
        meanwhile: called when an Exec was admitted, before it begins.
    """

    def __init__(self):
        super().__init__()
        self.begun = []
        self.asked = []
        self.changed = threading.Condition()
        self.refusal = None
        self.failure = None
        self.outputs = []
        self.is_deaf = False
        self.ended = threading.Event()
        self.result = v1.RunCommandResponse()
        self.deadline = None
        self.meanwhile = lambda: None

    def until(self, holds):
        """Wait until something holds of what was asked."""
        with self.changed:
            assert self.changed.wait_for(lambda: holds(self.asked), 60), self.asked

    def Exec(self, request_iterator, context):
        context.add_callback(self.ended.set)
        self._begin("Exec", context)
        first = next(request_iterator)
        if self.refusal is not None:
            abort(context, self.refusal)
        self.begun.append(first)
        self.meanwhile()
        yield v1.ExecResponse(started=v1.ExecStarted(pid=7, can_signal=True))
        if first.start.detach:
            return
        yield from self.outputs
        exit = v1.CommandExit(code=0)
        if self.is_deaf:
            self.ended.wait()
        for request in request_iterator:
            name = request.WhichOneof("message")
            with self.changed:
                self.asked.append((name, getattr(request, name)))
                self.changed.notify_all()
            if name == "stdin":
                yield v1.ExecResponse(stdout=request.stdin)
            elif name == "signal":
                exit = v1.CommandExit(signal=request.signal)
                break
            elif name == "detach":
                return
            elif name == "end_stdin":
                break
        if self.failure is not None:
            abort(context, self.failure)
        yield v1.ExecResponse(exit=exit)

    def RunCommand(self, request, context):
        self._begin("RunCommand", context)
        self.begun.append(request)
        self.deadline = context.time_remaining()
        return self.result


@contextmanager
def served(daemon):
    """Serve a daemon, and give its target."""
    pool = ThreadPoolExecutor()
    server = grpc.server(pool, options=[("grpc.so_reuseport", 0)])
    register(daemon, server)
    console_service_pb2_grpc.add_ConsoleServiceServicer_to_server(daemon, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()
        pool.shutdown()
