// Package wsconn is the WebSocket connection (RFC 6455) under those doors that
// speak over one: the handshake, frames and messages, and the bounds that keep
// one client from costing the others anything.
//
// A [Conns] is the set of a door's connections. [Conns.Serve] takes one off
// net/http and gives it a goroutine, on which the door's function reads:
//
//	conns.Serve(w, r, func(c *wsconn.Conn) {
//		for {
//			msg, err := c.Read()
//			if err != nil {
//				return // err is a *wsconn.CloseError
//			}
//			_ = c.Send(wsconn.AppendText(nil, msg))
//		}
//	})
//
// What a connection costs and promises:
//
//   - While nothing happens it holds one goroutine and no buffer beyond 256
//     bytes. Time-outs and keep-alives ride on the deadline of the pending read:
//     no timer and no goroutine of their own.
//   - Messages are text. Binary ones are refused with 1003: no protocol of ours
//     has any. Frames, messages over all their fragments, and the time that a
//     message may take are bounded; text is checked to be UTF-8 as it comes.
//   - Pings are answered by themselves; of those that come while the client does
//     not read, the newest. Control frames are not delivered.
//   - All methods of [Conn] may be called from any goroutine, but Read and
//     SetReadDeadline, which belong to the door's function.
//
// There are two ways to write, and both keep the order of their calls and put
// everything that waits into one write:
//
//   - [Conn.Send] queues and never waits. More than the queue holds is [ErrSlow],
//     and [Conn.SendWait] gives the client some time before it says so. There is
//     a goroutine that writes only while something is queued.
//   - [Conn.Write] is for those who can read further behind instead, such as a
//     loop that follows a session: it writes on the caller's goroutine, or waits
//     until little is queued. Do not call it where the door reads: a client that
//     waits for us to read before it does would wait for ever.
//
// Frames are made by [AppendText], or by [BeginText] and [EndText] around what
// the caller appends. They can be sent to any number of connections.
//
// How connections end. A client that does not take 16 KiB within the write
// time-out is closed with 1013; on bare TCP the code reaches even it, behind
// what its kernel holds. When credentials end, unsent data is dropped, the door
// says goodbye ([Config.Farewell]), and the connection is gone within a second.
// Otherwise a close waits for what is queued and for the client's own close
// frame, but no longer than the close time-out. Broken frames are closed with
// the code that RFC 6455 has for them.
//
// Left out on purpose: compression (permessage-deflate costs 1.2 to 30 KB for
// each connection that has used it, and tokens are short), binary messages,
// fragmentation of what we send, and WebSockets over HTTP/2 (RFC 8441; browsers
// fall back to HTTP/1.1).
//
// Files: handshake.go the request, conns.go the set, conn.go the life of a
// connection, input.go and read.go what comes in, write.go and frame.go what
// goes out, close.go codes.
package wsconn
