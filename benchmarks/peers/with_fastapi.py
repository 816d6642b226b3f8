"""FastAPI as its tutorial and ONNX Runtime's show it: an async route, a pool of threads, one session.

Several processes are what ``uvicorn --workers`` makes of it; uvicorn's ``limit_concurrency`` can bound the requests.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import uvicorn
from fastapi import FastAPI, Request

from benchmarks.peers.classifier import Answer, Classifier
from benchmarks.peers.task import Task

PROCESSES = "processes"


def create_app() -> FastAPI:
    """One process's app."""
    task = Task.from_environment()
    app, classifier = FastAPI(), Classifier(task)
    pool = ThreadPoolExecutor(1 if task.style == PROCESSES else task.workers)

    @app.post("/classify")
    async def classify(request: Request) -> Answer:
        video = await request.body()
        return await asyncio.get_running_loop().run_in_executor(pool, classifier.classify, video)

    return app


def main() -> None:
    """Serve until SIGTERM."""
    task = Task.from_environment()
    processes = task.workers if task.style == PROCESSES else 1
    limit = None if task.limit is None else -(-task.limit // processes)
    uvicorn.run(
        "benchmarks.peers.with_fastapi:create_app",
        factory=True,
        port=task.port,
        workers=processes,
        log_level="warning",
        limit_concurrency=limit,
    )


if __name__ == "__main__":
    main()
