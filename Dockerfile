# The app on any machine with a container engine, on the CPU, without a download at its start:
#   docker build -t nstlib . && docker run --rm -p 7860:7860 nstlib
# pip's torch for Linux is the CUDA build; for a smaller image give an index of CPU builds, with
# --build-arg PIP_EXTRA_INDEX_URL=...
FROM python:3.12-slim

ARG PIP_EXTRA_INDEX_URL
RUN useradd --create-home --uid 1000 visitor
WORKDIR /home/visitor/app

# requirements.txt bounds the versions, Gradio's too; only what the app needs is installed.
COPY requirements.txt requirements-space.txt ./
RUN pip install --no-cache-dir --constraint requirements.txt --requirement requirements-space.txt gradio

COPY app.py ./
COPY demo demo
COPY nstlib nstlib
COPY examples examples

USER visitor
ENV GRADIO_SERVER_NAME=0.0.0.0 GRADIO_SERVER_PORT=7860 PYTHONUNBUFFERED=1
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:7860/', timeout=8)"]
CMD ["python", "app.py"]
