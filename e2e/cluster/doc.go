// Package cluster runs three NATS servers and three Runnel nodes as processes on
// one machine, and does to them what happens to machines: they are killed, frozen,
// cut off from each other in one direction or both, and run out of disk.
//
// With namespaces each process lives in a network namespace of its own, with two
// interfaces: one to the other machines of the cluster, and one to clients and
// model servers. So a node can lose the cluster and still have its clients, which
// is when it must not promise what it cannot keep. Without namespaces all are
// on the loopback interface, as `make cluster` has it.
package cluster
