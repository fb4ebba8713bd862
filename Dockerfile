# http-bucket in a container: docs/how-to/run-in-docker.md

# The Python that the tests run on; every build takes its newest security release.
ARG PYTHON=3.11-slim

FROM python:${PYTHON} AS build
COPY assets/requirements.txt /build/
RUN python -m venv --without-pip /opt/http-bucket \
 && python -m pip --disable-pip-version-check --python /opt/http-bucket/bin/python install \
    --no-cache-dir --only-binary :all: --require-hashes -r /build/requirements.txt
COPY assets/src/ /app/
COPY assets/docker/ /opt/http-bucket/container/
# Readable for the service user, whatever umask the files were checked out with.
RUN chmod -R u=rwX,go=rX /app /opt/http-bucket/container \
 && ln -s ../container/entry.py /opt/http-bucket/bin/http-bucket \
 && /opt/http-bucket/bin/python -m compileall -q /app

FROM python:${PYTHON}
LABEL org.opencontainers.image.title="http-bucket" \
      org.opencontainers.image.description="A content-addressed artifact store over HTTP, on local disk" \
      org.opencontainers.image.licenses="MIT"
RUN groupadd --gid 10001 bucket \
 && useradd --uid 10001 --gid bucket --no-create-home --home-dir /nonexistent \
    --shell /usr/sbin/nologin bucket \
 && install -d -o bucket -g bucket /data
COPY --from=build /opt/http-bucket /opt/http-bucket
COPY --from=build /app /app
ENV PATH=/opt/http-bucket/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    ARCHIVE_DIR=/data \
    PORT=80,5000
WORKDIR /app
VOLUME /data
EXPOSE 80 5000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD ["python", "-I", "/opt/http-bucket/container/health.py"]
# No USER: the entry is root for as long as it takes to give an empty store to the service user.
ENTRYPOINT ["python", "-I", "/opt/http-bucket/container/entry.py"]
CMD ["serve"]
