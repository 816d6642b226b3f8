"""The Open Inference Protocol v2 over REST: clips that were decoded elsewhere in, probabilities out.

    tensors    text or bytes on the wire <-> numpy            knows neither HTTP nor models
    contract   what one model takes and gives, and how much of it one request may carry
    message    the body of one request -> clips               probabilities -> the body of its answer
    body       HTTP body -> bytes, inflated and counted
    routes     server, health, models, infer, repository

Source: Open Inference Protocol, inference_rest.md; Triton's extensions for binary data, classification and model configuration.
"""
