# syntax=docker/dockerfile:1
# The server alone: no torch, no compiler, no root. For a machine without a GPU: --build-arg LOCK=serve.txt
FROM python:3.13-slim AS build
ARG LOCK=serve-cuda.txt
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
RUN python -m venv /opt/clipserve
COPY requirements/ requirements/
RUN /opt/clipserve/bin/pip install --require-hashes --only-binary :all: --requirement "requirements/${LOCK}"
COPY pyproject.toml README.md clipserve.py ./
COPY clips/ clips/
COPY app/ app/
RUN /opt/clipserve/bin/pip install --no-deps --no-build-isolation .

FROM python:3.13-slim
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin clipserve
COPY --from=build /opt/clipserve /opt/clipserve
COPY models/ /models/
ENV PATH=/opt/clipserve/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    OPENBLAS_NUM_THREADS=1 \
    CLIPSERVE_HOST=0.0.0.0 \
    CLIPSERVE_PORT=8000 \
    CLIPSERVE_MODEL_REPOSITORY=/models
USER 10001
WORKDIR /tmp
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ['CLIPSERVE_PORT'] + '/healthz', timeout=2)"]
CMD ["clipserve", "serve"]
