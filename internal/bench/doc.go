// Package bench measures a gateway: it is what `runnel bench` runs.
//
// It starts its own program once for each role, so that every figure is of the
// real thing in a process of its own: a model server, a gateway in front of it,
// and a plain reverse proxy to compare with. The load comes from the process
// that measures. All of it stays on the loopback interface, and all of it is
// bounded in number and time. [Server] measures one gateway anywhere instead.
//
// It keeps these rules:
//
//   - Added means through the gateway less directly from the model server, with
//     the same load, in the same run, in turns, because machines have moods. A
//     figure of several rounds is their median.
//   - Tokens carry the time at which the model server wrote them, so a delay is
//     that of each token, and a token that got lost is an error.
//   - The load is a real client's, but a cheap one: it shares the machine with
//     what it measures.
//
// The files: bench.go runs the parts, which are start.go, accept.go, access.go
// (with credentials.go), ttft.go, tokens.go, fanout.go, idle.go,
// websocket.go, graphql.go, stop.go and functions.go (with handler.go);
// plan.go says how much of each. process.go and proc.go start and observe
// processes, conn.go and way.go ask for answers, proxy.go is the reverse proxy,
// server.go measures a gateway that runs already. stats.go, machine.go, report.go
// and document.go make the report.
package bench
