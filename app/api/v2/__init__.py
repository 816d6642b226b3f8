"""The Open Inference Protocol v2 over REST: clips that were decoded elsewhere in, probabilities out.

    tensors     text or bytes on the wire <-> numpy
    contract    what one model takes and gives, and how much of it one request may carry
    json_data   the numbers in a JSON text apart from the rest
    message     the body of one request -> clips
    answer      probabilities -> the body of its answer
    body        HTTP body -> bytes, inflated and counted
    routes      all addresses: server, health, models, infer, repository

Source: Open Inference Protocol, inference_rest.md; Triton's extensions for binary data, classification and model configuration.
"""
