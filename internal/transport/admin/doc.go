// Package admin is the door of operators: what all nodes do right now, and a way
// to stop it.
//
//	GET  /v1/admin/overview                   generations that have not ended, the queue, every node's figures
//	POST /v1/admin/generations/{id}/cancel    stop one, whoever's it is
//
// It is for callers with the grant to administer, for all sessions; one whose
// grant names sessions is refused. Where nobody is asked for credentials it is for
// this machine only. Every refusal and every stop is in the audit log.
//
// Generations come from the engine's records, so those of all nodes are there. The
// figures are each node's own: whoever is asked for an overview asks the others
// over the bus, and shows what it has heard of late. A node that was not heard
// for some seconds is left out.
package admin
