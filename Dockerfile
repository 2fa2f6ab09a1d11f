# syntax=docker/dockerfile:1

# docker build -t runnel .
# The version in the image is that of the checkout: .git goes along.

# Where the binary comes from: made here, or by GoReleaser.
ARG BINARY=built

FROM --platform=$BUILDPLATFORM node:20-bookworm-slim AS page
WORKDIR /src/web
COPY web/package.json web/package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY clients/ts ../clients/ts
COPY web ./
RUN npm run build

FROM --platform=$BUILDPLATFORM golang:1.26-bookworm AS built
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
COPY --from=page /src/internal/web/static/page internal/web/static/page
ARG TARGETOS TARGETARCH
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -buildvcs=true -trimpath -ldflags '-s -w' -o /runnel ./cmd/runnel

FROM scratch AS released
ARG TARGETPLATFORM
COPY $TARGETPLATFORM/runnel /runnel

FROM ${BINARY} AS binary

FROM scratch AS folders
WORKDIR /data

# Certificates of authorities, time zones, and users; no shell.
FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=binary /runnel /usr/bin/runnel
COPY --from=folders --chown=65532:65532 /data /var/lib/runnel
USER 65532:65532
WORKDIR /var/lib/runnel
VOLUME /var/lib/runnel
EXPOSE 8080
ENV RUNNEL_LISTEN=:8080 RUNNEL_DATA_DIR=/var/lib/runnel
HEALTHCHECK --interval=10s --timeout=6s --start-period=60s --start-interval=1s CMD ["/usr/bin/runnel", "health"]
ENTRYPOINT ["/usr/bin/runnel"]
CMD ["serve"]
