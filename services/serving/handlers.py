"""From the methods of an object to the handlers of a gRPC service, by the contract's own description."""

import re
from typing import Any

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

_KINDS = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}


def add_to_server(contract: ServiceDescriptor, service: object, server: grpc.aio.Server) -> None:
    """Lets `service` answer every method of the contract: `StepSlice` by its `step_slice`, and so on.

    What a method returns or writes is the contract's message, or its bytes where the service has written them already.

    Raises:
      AttributeError: a method of the contract that the service does not have.
    """
    handlers = {method.name: _handler(method, getattr(service, _snake(method.name))) for method in contract.methods}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(contract.full_name, handlers),))


def _handler(method: MethodDescriptor, call: Any) -> grpc.RpcMethodHandler:
    request = message_factory.GetMessageClass(method.input_type)
    return _KINDS[method.client_streaming, method.server_streaming](call, request.FromString, _serialized)


def _serialized(reply: Any) -> bytes:
    return reply if isinstance(reply, bytes) else reply.SerializeToString()


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
