# The web app and the HTTP API of boneage: docs/how-to/serve.md says how to run it.
# It needs no root, no file that can be written to, and nothing from the network.

FROM python:3.12-slim AS build
WORKDIR /build
COPY pyproject.toml README.md LICENSE constraints.txt ./
COPY src src
RUN python -m venv /opt/boneage
RUN /opt/boneage/bin/pip install --no-cache-dir -c constraints.txt '.[web,dicom]'

FROM python:3.12-slim
COPY --from=build /opt/boneage /opt/boneage
ENV PATH=/opt/boneage/bin:$PATH PYTHONDONTWRITEBYTECODE=1 HOME=/nonexistent
# A number, so that a cluster can see that it is not root.
USER 65532:65532
WORKDIR /
EXPOSE 8000
# Without a shell and without curl, which the image does not have; /health needs no token.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health', timeout=4)"]
# Every address of the container, so it starts with a token alone: BONEAGE_TOKEN or --token-file.
ENTRYPOINT ["boneage", "serve", "--host", "0.0.0.0", "--port", "8000"]
