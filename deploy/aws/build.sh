#!/usr/bin/env bash
# Builds the functions for Lambda (provided.al2023 on arm64) and packs each into
# build/NAME.zip. The same sources make the same packages.
set -euo pipefail
cd "$(dirname "$0")"
for folder in functions/*/; do
  name=$(basename "$folder")
  CGO_ENABLED=0 GOOS=linux GOARCH=arm64 go build -trimpath -buildvcs=false -tags lambda.norpc -ldflags '-s -w' -o "build/$name/bootstrap" "./$folder"
  touch -d 2000-01-01T00:00:00Z "build/$name/bootstrap"
  (cd "build/$name" && rm -f "../$name.zip" && TZ=UTC zip -qX "../$name.zip" bootstrap)
done
ls -l build/*.zip
