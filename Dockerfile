# A Leadline worker. Kafka and Redis are elsewhere: KAFKA_BOOTSTRAP and REDIS_URL say where.
FROM python:3.11.16-slim-bookworm@sha256:c425d915a89a6dcd3183b1797ad9bd8878caff5a417f6371c8df93c8ea8b727f AS build
WORKDIR /src
COPY requirements/build.txt requirements/runtime.txt requirements/
RUN python -m venv /opt/build \
    && /opt/build/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r requirements/build.txt \
    && /opt/build/bin/pip wheel --no-cache-dir --require-hashes --no-deps --no-build-isolation --wheel-dir /wheels -r requirements/runtime.txt
COPY . .
RUN /opt/build/bin/hatchling build --target wheel --directory /wheels \
    && python -m venv --without-pip /opt/leadline \
    && /opt/build/bin/pip --python /opt/leadline install --no-cache-dir --no-index --find-links /wheels leadline

FROM python:3.11.16-slim-bookworm@sha256:c425d915a89a6dcd3183b1797ad9bd8878caff5a417f6371c8df93c8ea8b727f
COPY --from=build /opt/leadline /opt/leadline
RUN useradd --system --uid 10001 --home-dir /var/lib/leadline --create-home leadline \
    && install -d -o leadline /var/lib/leadline/models /var/lib/leadline/state
ENV PATH=/opt/leadline/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    LEADLINE_MODELS=/var/lib/leadline/models \
    LEADLINE_STATE=/var/lib/leadline/state
USER leadline
WORKDIR /var/lib/leadline
ENTRYPOINT ["leadline"]
CMD ["worker"]
