// Package check tests the packages: the binaries for every system, the image,
// and what deploy has for Compose, Kubernetes and systemd. Each is read by the
// library of the program that will read it, and what it says of Runnel is given
// to Runnel. Nothing here can build an image or reach a cluster.
//
//   - binaries_test.go: four systems, static, with the chat page
//   - chart_test.go: the Helm chart, linted, rendered and decoded
//   - compose_test.go: the Compose file, and its NATS servers and proxy at work
//   - image_test.go: the Dockerfile, and the binary alone in a root of its own
//   - unit_test.go: the systemd unit
//   - release_test.go: the GoReleaser configuration
package check
