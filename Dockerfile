# A Leadline worker. Kafka and Redis are elsewhere: KAFKA_BOOTSTRAP and REDIS_URL say where.
FROM python:3.11-slim AS build
WORKDIR /src
RUN python -m venv /opt/leadline
COPY requirements/runtime.txt requirements/
RUN /opt/leadline/bin/pip install --no-cache-dir --require-hashes -r requirements/runtime.txt
COPY . .
RUN /opt/leadline/bin/pip install --no-cache-dir --no-deps .

FROM python:3.11-slim
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
